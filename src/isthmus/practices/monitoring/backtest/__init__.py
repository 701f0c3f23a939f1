"""Back-tests: what other rules would have made of the stored past, found by the real decisions in a scratch book.

The parent (`jobs`) reads the live store and hands what is needed to a child process by a file in a private directory.
The child makes an installation of its own there, without connections, and takes the past events through
`service.take` and the waits twice: with the sections in force and with the candidate. The two outcomes are compared.
"""
