/* Preloaded into `sinkd run`: fails one call on a file below a directory, as a bad disk would.

   FAIL_BELOW   the directory, an absolute path without links
   FAIL_CALL    write, sync, rename, truncate or allocate
   FAIL_NUMBER  which of these calls, counted from 1
   FAIL_WITH    the errno; 0 makes a write a short one
   FAIL_SAID    gets `CALL NAME` when the call was met
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_below(int descriptor, char *path)
{
	char link[64];
	const char *below = getenv("FAIL_BELOW");
	snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
	ssize_t size = readlink(link, path, PATH_MAX - 1);
	if (!below || size < 0)
		return 0;
	path[size] = 0;
	return !strncmp(path, below, strlen(below));
}

/* Says whether this call is the one to fail; sets errno. */
static int fails(const char *call, int descriptor, const char *name)
{
	static int met;
	char path[PATH_MAX];
	int before = errno;
	const char *wanted = getenv("FAIL_CALL");
	if (!wanted || strcmp(call, wanted) || !is_below(descriptor, path))
		goto real;
	if (__atomic_add_fetch(&met, 1, __ATOMIC_SEQ_CST) != atoi(getenv("FAIL_NUMBER")))
		goto real;
	int said = open(getenv("FAIL_SAID"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dprintf(said, "%s %s\n", call, name ? name : path);
	close(said);
	errno = atoi(getenv("FAIL_WITH"));
	return 1;
real:
	errno = before;
	return 0;
}

ssize_t write(int descriptor, const void *data, size_t size)
{
	if (fails("write", descriptor, NULL)) {
		if (errno)
			return -1;
		size /= 2;
	}
	return NEXT(write)(descriptor, data, size);
}

int fsync(int descriptor)
{
	return fails("sync", descriptor, NULL) ? -1 : NEXT(fsync)(descriptor);
}

int fdatasync(int descriptor)
{
	return fails("sync", descriptor, NULL) ? -1 : NEXT(fdatasync)(descriptor);
}

int renameat(int from, const char *old, int to, const char *new)
{
	return fails("rename", to, new) ? -1 : NEXT(renameat)(from, old, to, new);
}

int ftruncate(int descriptor, off_t size)
{
	return fails("truncate", descriptor, NULL) ? -1 : NEXT(ftruncate)(descriptor, size);
}

int ftruncate64(int descriptor, off64_t size)
{
	return fails("truncate", descriptor, NULL) ? -1 : NEXT(ftruncate64)(descriptor, size);
}

int posix_fallocate(int descriptor, off_t offset, off_t size)
{
	return fails("allocate", descriptor, NULL) ? errno : NEXT(posix_fallocate)(descriptor, offset, size);
}

int posix_fallocate64(int descriptor, off64_t offset, off64_t size)
{
	return fails("allocate", descriptor, NULL) ? errno : NEXT(posix_fallocate64)(descriptor, offset, size);
}
