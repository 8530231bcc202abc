"""What the outside may ask of us in the shapes of TM Forum's open interfaces."""
