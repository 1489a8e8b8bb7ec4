/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE over io_uring: what is agreed in INIT, the set of queues, and the way of a reply into the
 * entry that brought its request.
 *
 * Once INIT said yes the kernel holds every request back until all queues have an entry. So all
 * that can be lacking (memory, rings, threads) is taken before.
 */
#include "fs/mount/uring-queue.h"

#include <limits.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <stdio.h>

#define ENTRIES 64 /* in all queues together, where there are not more than 32 queues */
#define MIN_DEPTH 2
#define MAX_DEPTH 32
#define MAX_QUEUES 4096

#define FLAG_INIT_EXT (1u << 30)
#define FLAG2_OVER_IO_URING (1u << 9) /* FUSE_OVER_IO_URING is bit 41 of both words */

struct cof_uring {
	size_t payload;
	struct cof_uring_queue **queues;
	unsigned n_queues;
	/* INIT is asked and answered in one thread, before there are others. */
	uint64_t init_unique;
	bool offered, agreed;
};

/* ---- queues ---- */

/* How many processors the kernel counts, those included that may come later: it wants an entry in
 * the queue of each. Text such as "0-3" or "0,2-5". 0: it is none. */
static unsigned count_processors(const char *text)
{
	unsigned n = 0;

	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (last < first || last >= MAX_QUEUES)
			return 0;
		n += (unsigned)(last - first) + 1;
		text = *end == ',' ? end + 1 : end;
	}
	return n <= MAX_QUEUES ? n : 0;
}

static unsigned possible_processors(void)
{
	char text[256];
	FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
	unsigned n = f && fgets(text, sizeof(text), f) ? count_processors(text) : 0;

	if (f)
		(void)fclose(f);
	return n;
}

int cof_uring_new(const struct cof_uring_params *p, struct cof_uring **ret)
{
	unsigned n = possible_processors();
	struct cof_uring *u = calloc(1, sizeof(*u));
	unsigned depth;
	int err = 0;

	if (!u)
		return -ENOMEM;
	u->payload = p->payload;
	u->queues = n ? calloc(n, sizeof(struct cof_uring_queue *)) : NULL;
	if (!u->queues)
		err = n ? -ENOMEM : -ENOSYS;
	depth = COF_MIN(COF_MAX(ENTRIES / COF_MAX(n, 1u), (unsigned)MIN_DEPTH), (unsigned)MAX_DEPTH);
	while (err == 0 && u->n_queues < n) {
		err = cof_uring_queue_new(p, u->n_queues, depth, &u->queues[u->n_queues]);
		if (err == 0)
			u->n_queues++;
	}
	if (err < 0)
		cof_uring_free(u);
	else
		*ret = u;
	return err;
}

unsigned cof_uring_queues(const struct cof_uring *u)
{
	return u->n_queues;
}

bool cof_uring_agreed(const struct cof_uring *u)
{
	return u->agreed;
}

/*
 * The kernel uses the rings from the moment that every queue has an entry. A queue that got none
 * leaves everything on /dev/fuse; one that got fewer than we asked for has fewer.
 */
int cof_uring_start(struct cof_uring *u)
{
	for (unsigned i = 0; i < u->n_queues; i++) {
		int n = cof_uring_queue_go(u->queues[i]);

		if (n <= 0)
			return n < 0 ? -EIO : -EOPNOTSUPP;
	}
	return 0;
}

void cof_uring_drain(struct cof_uring *u)
{
	for (unsigned i = 0; i < u->n_queues; i++)
		cof_uring_queue_drain(u->queues[i]);
	for (unsigned i = 0; i < u->n_queues; i++)
		cof_uring_queue_wait_drained(u->queues[i]);
}

void cof_uring_free(struct cof_uring *u)
{
	if (!u)
		return;
	for (unsigned i = 0; i < u->n_queues; i++)
		cof_uring_queue_stop(u->queues[i]);
	for (unsigned i = 0; i < u->n_queues; i++)
		cof_uring_queue_free(u->queues[i]);
	free(u->queues);
	free(u);
}

/* ---- INIT ---- */

static void look_for_init(struct cof_uring *u, const uint8_t *buf, size_t n)
{
	struct fuse_in_header h;
	struct fuse_init_in in;

	if (n < sizeof(h) + sizeof(in))
		return;
	memcpy(&h, buf, sizeof(h));
	memcpy(&in, buf + sizeof(h), sizeof(in));
	if (h.opcode != FUSE_INIT)
		return;
	u->init_unique = h.unique;
	u->offered = (in.flags & FLAG_INIT_EXT) && (in.flags2 & FLAG2_OVER_IO_URING);
}

ssize_t cof_uring_read(struct cof_uring *u, int fd, void *buf, size_t n)
{
	ssize_t r = read(fd, buf, n);

	if (r > 0 && u && !u->init_unique)
		look_for_init(u, buf, (size_t)r);
	return r;
}

/* Whether this is the reply to INIT and has room for a yes, which is then in *ret. */
static bool is_init_reply(struct cof_uring *u, const struct fuse_out_header *h,
			  const struct iovec *iov, int count, struct fuse_init_out *ret)
{
	if (!u->offered || u->agreed || h->unique != u->init_unique || h->error || count != 2 ||
	    iov[1].iov_len < sizeof(*ret))
		return false;
	memcpy(ret, iov[1].iov_base, sizeof(*ret));
	/* An entry that is too small would be refused later, when it is too late to say no. */
	if (ret->max_write > u->payload || (size_t)ret->max_pages * 4096 > u->payload)
		return false;
	ret->flags |= FLAG_INIT_EXT;
	ret->flags2 |= FLAG2_OVER_IO_URING;
	return true;
}

static ssize_t write_init_reply(struct cof_uring *u, int fd, const struct iovec *iov,
				struct fuse_init_out *out)
{
	struct iovec changed[2] = {iov[0], {.iov_base = out, .iov_len = sizeof(*out)}};
	struct fuse_out_header h;
	ssize_t r;

	memcpy(&h, iov[0].iov_base, sizeof(h));
	h.len = (uint32_t)(sizeof(h) + sizeof(*out));
	changed[0].iov_base = &h;
	r = writev(fd, changed, 2);
	if (r > 0)
		u->agreed = true;
	return r;
}

/* ---- replies ---- */

static struct cof_uring_entry *entry_of(struct cof_uring *u, uint64_t unique)
{
	unsigned queue = (unsigned)(unique >> 32 & (MAX_QUEUES - 1));

	if (!(unique & COF_URING_TAG) || queue >= u->n_queues)
		return NULL;
	return cof_uring_queue_entry(u->queues[queue], (uint32_t)unique);
}

/* The data behind the reply's header goes to the payload; where it lies there, it stays. */
static bool lay_data(struct cof_uring_entry *e, size_t room, const struct iovec *iov, int count,
		     uint32_t *ret_size)
{
	size_t n = 0;

	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len > room - n)
			return false;
		if (iov[i].iov_len && iov[i].iov_base != e->payload + n)
			memmove(e->payload + n, iov[i].iov_base, iov[i].iov_len);
		n += iov[i].iov_len;
	}
	*ret_size = (uint32_t)n;
	return true;
}

static void reply(struct cof_uring *u, struct cof_uring_entry *e, struct fuse_out_header h,
		  const struct iovec *iov, int count)
{
	uint32_t size = 0;

	if (!lay_data(e, u->payload, iov + 1, count - 1, &size))
		h.error = -EIO; /* larger than anything that can be asked for */
	h.unique = e->unique;
	h.len = (uint32_t)sizeof(h) + size;
	memcpy(e->header->in_out, &h, sizeof(h));
	e->header->payload_size = h.error ? 0 : size;
	cof_uring_queue_reply(e);
}

ssize_t cof_uring_writev(struct cof_uring *u, int fd, struct iovec *iov, int count)
{
	struct fuse_out_header h;
	struct fuse_init_out init;
	struct cof_uring_entry *e;
	ssize_t n = 0;

	/* libfuse keeps the header by itself. */
	if (!u || count < 1 || iov[0].iov_len != sizeof(h))
		return writev(fd, iov, count);
	memcpy(&h, iov[0].iov_base, sizeof(h));
	if (is_init_reply(u, &h, iov, count, &init))
		return write_init_reply(u, fd, iov, &init);
	e = entry_of(u, h.unique);
	if (!e)
		return writev(fd, iov, count);
	for (int i = 0; i < count; i++)
		n += (ssize_t)iov[i].iov_len;
	reply(u, e, h, iov, count);
	return n;
}
