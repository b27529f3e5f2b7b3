"""What is read of a mailbox at once, whichever way."""

PER_POLL = 100  # messages
MAX_MESSAGE_BYTES = 5 * 2**20  # more of a message is not read

Messages = list[tuple[str, bytes]]  # by their names, which never mean another message
