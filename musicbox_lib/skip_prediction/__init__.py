"""Skip prediction as the public challenge defines it (Spotify Sequential Skip Prediction, WSDM Cup 2019)."""
