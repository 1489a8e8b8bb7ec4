/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal while secrets are typed: its other screen, which has no scroll-back, is cleared before it is left, so that
 * nothing that was said on it (a word that is near to a mistyped one) stays to be read. No size is asked for: lines wrap or
 * scroll as the terminal likes. A terminal that names no type, or "dumb", has no other screen; hints that would tell something
 * of a share are then not given (screen_hides).
 *
 * From enter to leave SIGINT, SIGQUIT, SIGTERM, SIGHUP and SIGTSTP wait: a question on the terminal gets the first four (-EINTR,
 * crypto/passphrase.h), the others come when the screen is left. May be nested. One thread.
 */
#ifndef COFFER_SCREEN_H
#define COFFER_SCREEN_H

#include "base/base.h"

void screen_enter(void);
void screen_leave(void);
bool screen_hides(void);
void screen_clear(void);
/* To the terminal if there is one, within enter and leave; else to standard error. */
void screen_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
