package file

// The file format of a [Dir], for tests.
var (
	EncodeRecord = encodeRecord
	ParseRecord  = parseRecord
)

// Base returns the common name of the files of a record.
func (d *Dir) Base(name string) (string, error) { return d.base(name) }

// A Lock is the lock of a record of a [Dir].
type Lock struct{ held *held }

// TryLock returns nil if another holder has the lock.
func (d *Dir) TryLock(name string) (*Lock, error) {
	base, err := d.base(name)
	if err != nil {
		return nil, err
	}
	h, err := d.tryLock(base)
	if h == nil {
		return nil, err
	}
	return &Lock{h}, nil
}

// Counts reports whether the lock protects the record.
func (l *Lock) Counts() bool { return l.held.counts(l.held.lock) }

// Release ends the lock.
func (l *Lock) Release() { l.held.release() }

// Queues returns the number of records that goroutines wait for or hold.
func (d *Dir) Queues() int {
	d.queues.mu.Lock()
	defer d.queues.mu.Unlock()
	return len(d.queues.all)
}

// Writing returns the error of a Dir for an error of the operating system.
func Writing(err error) error { return writing("folder", err) }
