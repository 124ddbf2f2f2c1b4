#pragma once

/*
 * fallback - the process that answers while no file gate does
 *
 * By the uid alone: a leashed account is refused, everybody else goes on.
 * First of all it answers what the dead have left: what they had read and not
 * answered stands in the memory they shared with gatekeeper.
 *
 * It runs a function of gatekeeper's own program, so that starting it opens
 * nothing: no exec of it asks a group that nobody answers.  It opens nothing
 * but files in /proc, as the helpers' user.
 *
 * Messages: MESSAGE_POLICY, MESSAGE_GROUP, MESSAGE_SETTLE for each gate_table
 * that owes answers, MESSAGE_GO; MESSAGE_STOP, after which it answers what is
 * queued and ends.  It says MESSAGE_READY once it is confined.
 */

/* Its main(), for starter.h; yields the exit status. */
int fallback_run(void);
