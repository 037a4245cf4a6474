// Reads a tar.gz as Go's own readers do, its first member alone, and prints each name, then the
// SHA-256 of the stream.
package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

func main() {
	file, err := os.Open(os.Args[1])
	check(err)
	stream, err := gzip.NewReader(bufio.NewReader(file))
	check(err)
	stream.Multistream(false)
	hash := sha256.New()
	all := io.TeeReader(stream, hash)
	archive := tar.NewReader(all)
	for {
		entry, err := archive.Next()
		if err == io.EOF {
			break
		}
		check(err)
		fmt.Println(entry.Name)
		_, err = io.Copy(io.Discard, archive)
		check(err)
	}
	_, err = io.Copy(io.Discard, all)
	check(err)
	fmt.Printf("%x\n", hash.Sum(nil))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
