"""The commands of ``mididdsp``, one file a group of them; ``cli`` puts them together."""
