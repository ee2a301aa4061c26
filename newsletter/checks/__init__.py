"""Checks of what is about to be sent: mails as clients show them, their colours, their markup."""
