module payplane.io/netpol

go 1.21
