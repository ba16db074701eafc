"""Mails to submitters: what they say, the outbox that they wait in, the way out, and a mailbox for those who have no server."""
