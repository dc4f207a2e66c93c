"""Line protocol as influxd 2.7.11 reads it: bodies in, columns or the server's refusal out."""
