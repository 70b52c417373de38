"""Teleconsult: consultations over a hospital's own Jitsi Meet."""
