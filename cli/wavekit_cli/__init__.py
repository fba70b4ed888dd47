"""The command line of wavekit."""
