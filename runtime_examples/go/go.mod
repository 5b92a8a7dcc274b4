module edgernn

go 1.27
