// Package network is a bundle's step in C, compiled in: what `go run ./cmd/prepare BUNDLE` wrote beside this file.
package network

// #cgo CFLAGS: -O3 -std=gnu11 -I${SRCDIR}/net
// #if !__has_include("net/names.h")
// #error "no bundle is compiled in; run: go run ./cmd/prepare BUNDLE"
// #endif
// #include "net/names.h"
// static const network *own(void) { return the_network(); }
// static int run(void *block) { return the_network()->step(block); }
import "C"

import (
	"unsafe"

	"edgernn"
)

type compiled struct {
	net *C.network
}

// Compiled returns the network that was compiled in.
func Compiled() edgernn.Network {
	return compiled{C.own()}
}

func (c compiled) Artifact() string {
	return C.GoString(c.net.artifact)
}

// SHA256 is that of the C; what prepare said of it is a constant, so that Go compiles this package anew with it.
func (c compiled) SHA256() string {
	own := C.GoString(c.net.sha256)
	if own != madeOf {
		panic("the C is of another bundle than prepare says; run go run ./cmd/prepare BUNDLE again")
	}
	return own
}

func (c compiled) Bytes() int {
	return int(c.net.bytes)
}

func (c compiled) StateBytes() int {
	return int(c.net.state_bytes)
}

func (c compiled) Places() []edgernn.Place {
	var made []edgernn.Place
	for _, each := range unsafe.Slice(c.net.table, c.net.tensors) {
		shape := make([]int, each.rank)
		for axis := range shape {
			shape[axis] = int(each.shape[axis])
		}
		made = append(made, edgernn.Place{
			Name:   C.GoString(each.name),
			Dtype:  C.GoString(each.dtype),
			State:  each.role == C.NETWORK_STATE,
			Offset: int(each.offset),
			Bytes:  int(each.count * each.width),
			Shape:  shape,
		})
	}
	return made
}

func (c compiled) Step(block *byte) int {
	return int(C.run(unsafe.Pointer(block)))
}
