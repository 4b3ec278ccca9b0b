/* A file layer that forgets: preloaded into lambkin, it lets every change of a file below a directory through and
 * writes down, in a journal beside it, how to undo what was not synced yet. After `kill -9` power_cut.py undoes it, and
 * the directory is as a power cut would have left it: kill -9 alone loses nothing, since the kernel keeps what was
 * written.
 *
 *   FORGETFUL_DIR      absolute path of the directory
 *   FORGETFUL_JOURNAL  absolute path of the journal's directory, on the same file system and not below the former
 *   FORGETFUL_EXCEPT   names of entries of the directory that are left alone, with colons between
 *   FORGETFUL_LIES     if set, syncs make nothing durable: what then is not lost was never seen by this layer
 *
 * A file's bytes and length are durable after fsync or fdatasync of the file, a name after fsync of its directory, both
 * after syncfs and sync; nothing else makes anything durable.
 *
 * Deliberately not here: writes through mmap (SQLite's -shm is made anew at each opening), and system calls that do
 * not go through libc, as those of rustix: what is written by them is named in FORGETFUL_EXCEPT.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The 64-bit names are the same functions where off_t has 64 bits, as on each machine that lambkin knows. */
_Static_assert(sizeof(off_t) == 8, "off_t has 64 bits");

/* How a record in a file's journal begins; the old bytes from `offset` on follow. power_cut.py reads it. */
struct change {
    uint64_t magic, offset, old_size, old_bytes, new_bytes;
};
#define MAGIC UINT64_C(0x6c6d626b756e646f)

static char directory[PATH_MAX], journal[PATH_MAX], except[PATH_MAX];
static size_t directory_length;
static dev_t device;
static int names = -1;
static unsigned long kept;
static int lies;
/* Held over the note and the change itself, so that a sync never forgets a change that it did not sync. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name)                                                       \
    ({                                                                   \
        static __typeof__(&name) found;                                  \
        if (!found) found = (__typeof__(&name))real(#name);              \
        found;                                                           \
    })
static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

/* What cannot be written down must not happen: the proof would be none. */
static void require(int fine, const char *what) {
    if (fine) return;
    dprintf(2, "forgetful: %s: %s\n", what, strerror(errno));
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("FORGETFUL_DIR"), *beside = getenv("FORGETFUL_JOURNAL"), *but = getenv("FORGETFUL_EXCEPT");
    if (!at || !beside) return;
    lies = getenv("FORGETFUL_LIES") != NULL;
    snprintf(journal, sizeof journal, "%s", beside);
    snprintf(except, sizeof except, "%s", but ? but : "");
    snprintf(directory, sizeof directory, "%s", at);
    struct stat stat_of;
    require(!stat(directory, &stat_of), directory);
    device = stat_of.st_dev;
    directory_length = strlen(directory);
    /* After 100 files, so that low numbers stay free for those who count on them. */
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/names", journal);
    int low = REAL(open)(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    require(low >= 0, path);
    names = fcntl(low, F_DUPFD_CLOEXEC, 100);
    require(names >= 0, path);
    REAL(close)(low);
}

static int below(const char *path) {
    if (!directory_length || strncmp(path, directory, directory_length) || path[directory_length] != '/') return 0;
    const char *first = path + directory_length + 1, *end = strchrnul(first, '/');
    for (const char *at = except; *at;) {
        const char *stop = strchrnul(at, ':');
        if (stop - at == end - first && !strncmp(at, first, (size_t)(end - first))) return 0;
        at = *stop ? stop + 1 : stop;
    }
    return 1;
}

/* Whether a descriptor's path could be found. */
static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

/* The absolute path of a name, where it is below the directory. */
static int resolve(int at, const char *name, char *path) {
    char base[PATH_MAX];
    if (!directory_length) return 0;
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else {
        if (at == AT_FDCWD ? !getcwd(base, sizeof base) : !path_of(at, base)) return 0;
        if ((size_t)snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return 0;
    }
    return below(path);
}

/* ---- A file's bytes ---- */

/* Files known to be below the directory. An inode is not used again while the journal holds a link to each that was
 * unlinked. What finds its place taken is looked up by its path each time. */
#define KNOWN 4096
static ino_t known[KNOWN];

static int is_file(int fd, struct stat *of) {
    if (!directory_length || fstat(fd, of) || !S_ISREG(of->st_mode) || of->st_dev != device) return 0;
    if (known[of->st_ino % KNOWN] == of->st_ino) return 1;
    char path[PATH_MAX];
    if (!path_of(fd, path) || !below(path)) return 0;
    known[of->st_ino % KNOWN] = of->st_ino;
    return 1;
}

static void journal_of(ino_t inode, char *path) {
    snprintf(path, PATH_MAX, "%.4000s/%llu", journal, (unsigned long long)inode);
}

/* Notes the bytes from `offset` on that a change of so many bytes is about to take away, and the length. `reader` is open
 * for reading. */
static void note(int reader, const struct stat *of, off_t offset, size_t bytes) {
    size_t old = 0;
    if (offset < of->st_size) {
        size_t left = (size_t)(of->st_size - offset);
        old = bytes < left ? bytes : left;
    }
    size_t length = sizeof(struct change) + old;
    struct change *change = malloc(length);
    require(change != NULL, "malloc");
    *change = (struct change){MAGIC, (uint64_t)offset, (uint64_t)of->st_size, old, bytes};
    for (size_t done = 0; done < old;) {
        ssize_t got = pread(reader, (char *)(change + 1) + done, old - done, offset + (off_t)done);
        require(got > 0, "reading what is about to be overwritten");
        done += (size_t)got;
    }
    char path[PATH_MAX];
    journal_of(of->st_ino, path);
    int to = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    require(to >= 0, path);
    require(REAL(write)(to, change, length) == (ssize_t)length, path);
    REAL(close)(to);
    free(change);
}

/* The same of a descriptor that may be open for writing only. */
static void note_of(int fd, const struct stat *of, off_t offset, size_t bytes) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reader = REAL(open)(link, O_RDONLY | O_CLOEXEC);
    require(reader >= 0, "opening a file to note its bytes");
    note(reader, of, offset, bytes);
    REAL(close)(reader);
}

static off_t place(int fd, const struct stat *of) {
    return fcntl(fd, F_GETFL) & O_APPEND ? of->st_size : lseek(fd, 0, SEEK_CUR);
}

static size_t total(const struct iovec *parts, int count) {
    size_t bytes = 0;
    for (int part = 0; part < count; part++) bytes += parts[part].iov_len;
    return bytes;
}

/* The change of `bytes` at `offset` (-1: where the descriptor is), and `call`, as one. */
#define CHANGE(fd, offset, bytes, type, call)                                   \
    struct stat of;                                                             \
    if (!is_file(fd, &of)) return call;                                         \
    pthread_mutex_lock(&lock);                                                  \
    require(!fstat(fd, &of), "fstat");                                          \
    note_of(fd, &of, (offset) < 0 ? place(fd, &of) : (off_t)(offset), bytes);   \
    type done = call;                                                           \
    int error = errno;                                                          \
    pthread_mutex_unlock(&lock);                                                \
    errno = error;                                                              \
    return done

ssize_t write(int fd, const void *from, size_t bytes) {
    CHANGE(fd, -1, bytes, ssize_t, REAL(write)(fd, from, bytes));
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    CHANGE(fd, -1, total(parts, count), ssize_t, REAL(writev)(fd, parts, count));
}
ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset) {
    CHANGE(fd, offset, bytes, ssize_t, REAL(pwrite)(fd, from, bytes, offset));
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    CHANGE(fd, offset, total(parts, count), ssize_t, REAL(pwritev)(fd, parts, count, offset));
}
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    CHANGE(fd, offset, total(parts, count), ssize_t, REAL(pwritev2)(fd, parts, count, offset, flags));
}
/* All from the new end on; longer: nothing of the old bytes. */
int ftruncate(int fd, off_t length) {
    CHANGE(fd, length, SIZE_MAX >> 1, int, REAL(ftruncate)(fd, length));
}
/* It may punch holes or move bytes: all of the file from the offset on. */
int fallocate(int fd, int mode, off_t offset, off_t length) {
    CHANGE(fd, offset, SIZE_MAX >> 1, int, REAL(fallocate)(fd, mode, offset, length));
}
int posix_fallocate(int fd, off_t offset, off_t length) {
    CHANGE(fd, offset, 0, int, REAL(posix_fallocate)(fd, offset, length));
}

/* Who calls these can do without, and then writes. */
ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t bytes, unsigned flags) {
    struct stat of;
    if (is_file(to, &of)) return errno = ENOSYS, -1;
    return REAL(copy_file_range)(from, from_at, to, to_at, bytes, flags);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t bytes) {
    struct stat of;
    if (is_file(to, &of)) return errno = EINVAL, -1;
    return REAL(sendfile)(to, from, offset, bytes);
}

/* ---- Names ---- */

/* A line of the journal of names: what, the inodes of the directories, the paths, and which link keeps what was
 * there before. Written before the change; what did not happen after all is not there to be undone. */
static void say(const char *what, ino_t one, ino_t other, const char *path, const char *to, unsigned long keeps) {
    char line[3 * PATH_MAX];
    int length = snprintf(line, sizeof line, "%s\t%llu\t%llu\t%lu\t%s\t%s\n", what, (unsigned long long)one,
                          (unsigned long long)other, keeps, path, to);
    require(length < (int)sizeof line && REAL(write)(names, line, (size_t)length) == length, "the journal of names");
}

static ino_t parent(const char *path) {
    char of[PATH_MAX];
    snprintf(of, sizeof of, "%s", path);
    char *slash = strrchr(of, '/');
    if (slash && slash != of) *slash = 0;
    struct stat found;
    return stat(of, &found) ? 0 : found.st_ino;
}

/* Keeps what is about to lose its name; 0 where there is nothing, or a directory. */
static unsigned long keep(const char *path) {
    struct stat of;
    if (lstat(path, &of) || S_ISDIR(of.st_mode)) return 0;
    for (;;) {
        char to[PATH_MAX];
        snprintf(to, sizeof to, "%.4000s/kept-%lu", journal, ++kept);
        if (!REAL(link)(path, to)) return kept;
        require(errno == EEXIST, to);
    }
}

#define NAME(happens, type, call, ...)       \
    if (!(happens)) return call;             \
    pthread_mutex_lock(&lock);               \
    __VA_ARGS__;                             \
    type done = call;                        \
    int error = errno;                       \
    pthread_mutex_unlock(&lock);             \
    errno = error;                           \
    return done

static int open_at(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int changes = flags & (O_CREAT | O_TRUNC) && (flags & O_TMPFILE) != O_TMPFILE && resolve(at, name, path);
    if (!changes) return REAL(openat)(at, name, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat of;
    int was = !stat(path, &of);
    if (!was && flags & O_CREAT) say("create", parent(path), 0, path, "", 0);
    if (was && flags & O_TRUNC && S_ISREG(of.st_mode) && of.st_size && !(flags & O_CREAT && flags & O_EXCL)) {
        int reader = REAL(open)(path, O_RDONLY | O_CLOEXEC);
        require(reader >= 0, path);
        note(reader, &of, 0, (size_t)of.st_size);
        REAL(close)(reader);
    }
    int fd = REAL(openat)(at, name, flags, mode);
    int error = errno;
    if (fd >= 0 && !was && !fstat(fd, &of)) {
        /* What a file of this inode's number left behind is not this one's. */
        char stale[PATH_MAX];
        journal_of(of.st_ino, stale);
        REAL(unlink)(stale);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define MODE                           \
    mode_t mode = 0;                   \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list more;                  \
        va_start(more, flags);         \
        mode = va_arg(more, mode_t);   \
        va_end(more);                  \
    }
int open(const char *name, int flags, ...) {
    MODE return open_at(AT_FDCWD, name, flags, mode);
}
int openat(int at, const char *name, int flags, ...) {
    MODE return open_at(at, name, flags, mode);
}
int creat(const char *name, mode_t mode) { return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int unlinkat(int at, const char *name, int flags) {
    char path[PATH_MAX];
    /* A directory is empty when it goes: undone, it is empty again, and what was in it comes back by its own line. */
    NAME(resolve(at, name, path), int, REAL(unlinkat)(at, name, flags),
         say(flags & AT_REMOVEDIR ? "rmdir" : "unlink", parent(path), 0, path, "", keep(path)));
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int remove(const char *name) {
    struct stat of;
    return unlinkat(AT_FDCWD, name, !lstat(name, &of) && S_ISDIR(of.st_mode) ? AT_REMOVEDIR : 0);
}
int mkdirat(int at, const char *name, mode_t mode) {
    char path[PATH_MAX];
    struct stat of;
    NAME(resolve(at, name, path) && lstat(path, &of), int, REAL(mkdirat)(at, name, mode),
         say("create", parent(path), 0, path, "", 0));
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
int symlinkat(const char *target, int at, const char *name) {
    char path[PATH_MAX];
    struct stat of;
    NAME(resolve(at, name, path) && lstat(path, &of), int, REAL(symlinkat)(target, at, name),
         say("create", parent(path), 0, path, "", 0));
}
int symlink(const char *target, const char *name) { return symlinkat(target, AT_FDCWD, name); }
int linkat(int from, const char *old, int at, const char *name, int flags) {
    char path[PATH_MAX];
    struct stat of;
    NAME(resolve(at, name, path) && lstat(path, &of), int, REAL(linkat)(from, old, at, name, flags),
         say("create", parent(path), 0, path, "", 0));
}
int link(const char *old, const char *name) { return linkat(AT_FDCWD, old, AT_FDCWD, name, 0); }
int renameat2(int from, const char *old, int at, const char *name, unsigned flags) {
    char path[PATH_MAX], to[PATH_MAX];
    int source = resolve(from, old, path), target = resolve(at, name, to);
    /* Nothing below the directory comes from beside it, or goes there, or changes places. */
    require(source == target || !directory_length, "a rename over the directory's edge");
    if (source) require(!flags || flags == 1, "a rename of a kind that is not written down");
    NAME(source, int, REAL(renameat2)(from, old, at, name, flags),
         say("rename", parent(path), parent(to), path, to, flags ? 0 : keep(to)));
}
int renameat(int from, const char *old, int at, const char *name) { return renameat2(from, old, at, name, 0); }
int rename(const char *old, const char *name) { return renameat2(AT_FDCWD, old, AT_FDCWD, name, 0); }

int truncate(const char *name, off_t length) {
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int done = ftruncate(fd, length), error = errno;
    REAL(close)(fd);
    errno = error;
    return done;
}

/* ---- Syncs ---- */

static void forget(ino_t inode) {
    char path[PATH_MAX];
    journal_of(inode, path);
    int fd = REAL(open)(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd >= 0) REAL(close)(fd);
}

static int sync_of(int fd, int (*call)(int)) {
    struct stat of;
    char path[PATH_MAX];
    if (!directory_length || lies || fstat(fd, &of) || of.st_dev != device || !path_of(fd, path)) return call(fd);
    if (!below(path) && strcmp(path, directory)) return call(fd);
    pthread_mutex_lock(&lock);
    int done = call(fd), error = errno;
    if (!done && S_ISDIR(of.st_mode)) say("sync", of.st_ino, 0, "", "", 0);
    if (!done && S_ISREG(of.st_mode)) forget(of.st_ino);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int fsync(int fd) { return sync_of(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_of(fd, REAL(fdatasync)); }

static void forget_all(void) {
    DIR *all = opendir(journal);
    require(all != NULL, journal);
    for (struct dirent *each; (each = readdir(all));) {
        char *end;
        unsigned long long inode = strtoull(each->d_name, &end, 10);
        if (end != each->d_name && !*end) forget((ino_t)inode);
    }
    closedir(all);
    say("sync-all", 0, 0, "", "", 0);
}
int syncfs(int fd) {
    struct stat of;
    if (!directory_length || lies || fstat(fd, &of) || of.st_dev != device) return REAL(syncfs)(fd);
    pthread_mutex_lock(&lock);
    int done = REAL(syncfs)(fd), error = errno;
    if (!done) forget_all();
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
void sync(void) {
    pthread_mutex_lock(&lock);
    REAL(sync)();
    if (directory_length && !lies) forget_all();
    pthread_mutex_unlock(&lock);
}

/* The names with 64 bits. */
#define SAME(name) __attribute__((alias(#name)))
ssize_t pwrite64(int, const void *, size_t, off64_t) SAME(pwrite);
ssize_t pwritev64(int, const struct iovec *, int, off64_t) SAME(pwritev);
ssize_t pwritev64v2(int, const struct iovec *, int, off64_t, int) SAME(pwritev2);
int ftruncate64(int, off64_t) SAME(ftruncate);
int truncate64(const char *, off64_t) SAME(truncate);
int fallocate64(int, int, off64_t, off64_t) SAME(fallocate);
int posix_fallocate64(int, off64_t, off64_t) SAME(posix_fallocate);
ssize_t sendfile64(int, int, off64_t *, size_t) SAME(sendfile);
int open64(const char *, int, ...) SAME(open);
int openat64(int, const char *, int, ...) SAME(openat);
int creat64(const char *, mode_t) SAME(creat);
