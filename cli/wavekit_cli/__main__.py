from wavekit_cli import entry

entry()
