"""Controls of Windows: what a PC must be, how it is judged, who has accepted what. Pure, except for reading the tables."""
