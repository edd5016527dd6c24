// Package file keeps credentials in files. A [Dir] is a folder of records that several processes
// share. A [Secret] is a file that another program writes and rotates.
//
//	store := &file.Dir{Path: "/var/lib/bot/credentials"}
//	key := &file.Secret{Path: "/run/secrets/api-key"}
//
// # The files of a Dir
//
// The folder and its files are accessible to their owner alone, from the moment of their creation.
// A Dir refuses symbolic links, files of other users, and files that other users may access. This
// rule is for the last element of the Path, not for its parents. On Windows a Dir relies on the
// access control list of the parent folder, which below the profile of a user admits only that user
// and administrators.
//
// A record has up to 64 KiB and is replaced as a whole. After a crash, a power failure or a full
// disk the file holds the old record or the new one. An equal record is not written again. A
// checksum finds other damage. The Dir then sets the file aside under the same name with
// ".corrupt-1" at the end, and keeps the last three such files until the record is deleted.
//
// Update holds a lock of the operating system, which ends with the process. Load takes no lock and
// needs no write access. The first Update of a Dir removes the files that killed processes left
// behind, and later ones do so once a minute. The cost of other operations does not grow with the
// number of records in the folder. Update needs locks that belong to an open file. Some network
// file systems do not have such locks, and neither do AIX and Solaris.
//
// The name of a file consists of the letters and digits with which the name of its record begins
// and the SHA-256 of that name. So any name that is not empty may be used, and two names never
// share a file.
package file
