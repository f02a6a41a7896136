package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
)

// headEvery is how often the checkpoint of a log that grows is taken where no segment was sealed.
var headEvery = time.Hour

const tileHeight = 8 // C2SP tlog-tiles

// heads takes the newest checkpoint, what there is of the tree under it that was not taken before, and the log's public keys.
// The checkpoint comes last, so that for each one in the bucket the tree is there. Objects are never written over, so each
// checkpoint has a name of its own.
func (u *uploader) heads(ctx context.Context, now bool) error {
	if !now && time.Since(u.headAt) < headEvery {
		return nil
	}
	p, err := audit.OpenProver(u.logDir)
	if err != nil {
		return err
	}
	defer p.Close()
	c, msg := p.Checkpoint()
	u.headAt = time.Now()
	if c.Tree.N <= u.cursor.Head {
		return nil
	}
	at := uint64(c.Tree.N)
	if err := u.keys(ctx, p.Keys(), at); err != nil {
		return err
	}
	for _, t := range tlog.NewTiles(tileHeight, u.cursor.Head, c.Tree.N) {
		data, err := p.Tile(t)
		if err != nil {
			return err
		}
		if err := u.put(ctx, tilePath(t), data, at); err != nil {
			return err
		}
	}
	if err := u.put(ctx, headName(c.Tree.N), msg, at); err != nil {
		return err
	}
	return u.moved(&cursor{Log: u.cursor.Log, Position: u.cursor.Position, Head: c.Tree.N})
}

// keys takes the first public key, and the notes about those after it as they are now.
func (u *uploader) keys(ctx context.Context, keys checkpoint.Keys, at uint64) error {
	list := keys.List()
	if err := u.put(ctx, "signing/"+checkpoint.PublicFile, []byte(list[0].Public+"\n"), at); err != nil {
		return err
	}
	notes, err := os.ReadFile(filepath.Join(u.logDir, "signing", checkpoint.NotesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return u.put(ctx, fmt.Sprintf("signing/%s.%d", checkpoint.NotesFile, strings.Count(string(notes), "sallyport/keys/")), notes, at)
}

// headName is the name of a checkpoint.
func headName(size int64) string { return fmt.Sprintf("checkpoint/%020d", size) }

// tilePath is where a tile is by C2SP tlog-tiles, which has one height for all and does not name it.
func tilePath(t tlog.Tile) string {
	return strings.Replace(t.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
}
