"""Lists: one mechanism for the pages that are lists. Each declares its columns, filters and rows once (`tables/`); what
the URL asks is read in `asked`, columns are chosen in `choosing`, rows become cells in `showing`, files in `download`.

Pages (`web.console`) and the API (`web.resources.lists`) show the same lists.
"""
