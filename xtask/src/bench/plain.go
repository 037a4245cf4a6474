// The plain Go way of the job, for the benchmark: every entry of the base, then every data entry
// of each package, into one tarball by Go's gzip at its default level. It verifies nothing, knows
// no versions and writes no database.
package main

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"log"
	"os"
	"strings"
)

// plain OUT BASE PACKAGE...
func main() {
	out, err := os.Create(os.Args[1])
	fatal(err)
	compressed := gzip.NewWriter(out)
	archive := tar.NewWriter(compressed)
	for i, path := range os.Args[2:] {
		add(archive, path, i > 0)
	}
	fatal(archive.Close())
	fatal(compressed.Close())
	fatal(out.Close())
}

// add copies the entries of a file; those of a package that are not its data begin with a dot.
func add(archive *tar.Writer, path string, isPackage bool) {
	file, err := os.Open(path)
	fatal(err)
	defer file.Close()
	inflated, err := gzip.NewReader(file)
	fatal(err)
	entries := tar.NewReader(inflated)
	for {
		header, err := entries.Next()
		if err == io.EOF {
			return
		}
		fatal(err)
		if isPackage && strings.HasPrefix(header.Name, ".") {
			continue
		}
		fatal(archive.WriteHeader(header))
		_, err = io.Copy(archive, entries)
		fatal(err)
	}
}

func fatal(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
