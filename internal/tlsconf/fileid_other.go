//go:build !unix

package tlsconf

import "io/fs"

func fileID(fs.FileInfo) string { return "" }
