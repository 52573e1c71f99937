// Not built by the project's makefiles: a Wisp server on gws, for the tests.
module wisp-gws

go 1.19

require github.com/lxzan/gws v1.8.0

require (
	github.com/dolthub/maphash v0.1.0 // indirect
	github.com/klauspost/compress v1.17.5 // indirect
)
