/* SPDX-License-Identifier: Apache-2.0 */
/* Confinement as a whole: files first, then system calls, which end the ways to change it. */
#include "fs/guard/internal.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

static struct {
	uint8_t digest[32];
	atomic_int landlock; /* the ABI in force; 0: none */
	atomic_bool confined;
} state;

bool cof_guard_tpm_tcp(const char *tpm)
{
	return tpm && !strncmp(tpm, "swtpm:", 6) && !strstr(tpm, "path=");
}

/* The zone's file is read once, now: it may not be opened later. */
static void learn_zone(void)
{
	time_t now = time(NULL);
	struct tm tm;

	tzset();
	(void)localtime_r(&now, &tm);
}

int cof_guard_confine(const struct cof_guard_params *p, struct cof_diag *diag)
{
	unsigned which = COF_CALLS_ALWAYS | COF_CALLS_START | (p->uring ? COF_CALLS_URING : 0) |
			 (cof_guard_tpm_tcp(p->tpm) ? COF_CALLS_NET : 0) |
			 (COF_SANITIZED ? COF_CALLS_CHECKED : 0);
	int err;

	learn_zone();
	err = cof_paths_allow(p, diag);
	if (err < 0)
		return err;
	atomic_store(&state.landlock, err);
	err = cof_refused_catch();
	if (err < 0)
		return cof_fail(diag, err, "signals: %s", strerror(-err));
	err = cof_calls_allow(which, state.digest, diag);
	if (err == 0)
		atomic_store(&state.confined, true);
	return err;
}

int cof_guard_seal(void)
{
	return atomic_load(&state.confined) ? cof_calls_seal() : 0;
}

void cof_guard_digest(uint8_t ret[32])
{
	memcpy(ret, state.digest, sizeof(state.digest));
}

/* ---- as the kernel tells it ---- */

static void from_line(const char *line, struct cof_json *into)
{
	unsigned long long caps, bounds;
	int seccomp;

	if (sscanf(line, "CapPrm: %llx", &caps) == 1)
		cof_json_set_bool(into, "capabilities", caps != 0);
	else if (sscanf(line, "CapBnd: %llx", &bounds) == 1)
		cof_json_set_bool(into, "bounding_set", bounds != 0);
	else if (sscanf(line, "Seccomp: %d", &seccomp) == 1)
		cof_json_set_bool(into, "seccomp", seccomp == 2);
}

void cof_guard_status(struct cof_json *into)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		from_line(line, into);
	if (f)
		(void)fclose(f);
	cof_json_set_uint(into, "uid", geteuid());
	cof_json_set_uint(into, "gid", getegid());
	cof_json_set_bool(into, "no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	cof_json_set_bool(into, "dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0);
	cof_json_set_int(into, "landlock", atomic_load(&state.landlock));
}
