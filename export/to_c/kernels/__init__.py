"""What a text takes in as it stands: functions in C, a file each, and which needs which."""
