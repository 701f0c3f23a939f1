"""`isthmus demo`: the main job, played on recorded payloads against fake vendors and a real tracker."""
