#pragma once

/*
 * gate_table - the memory that outlives a file gate
 *
 * The processes of leash-fanotify share one table of descriptors and this
 * memory: a main process, which forks the others and answers nothing, and the
 * gates, of which one has the turn - it alone reads the fanotify group - and
 * another is spare.  The kernel writes the events that are read straight into
 * this memory, and their descriptors lie in the table that all share.  So when
 * the gate that has the turn dies, however suddenly, the next finds there what
 * was read and not yet answered, and judges it as if it had read it itself: no
 * death of a gate refuses anything.
 *
 * The turn is taken by compare-and-swap, from a gate that is dead, or that was
 * told to die and hangs in the kernel.
 *
 * Protocol of who has the turn, for each batch: every event_len = 0, answered
 * = 0; read(); then for each event: respond, answered + 1, its fd = -1 here,
 * close; after the last: all event_len = 0 again.  So what follows the last
 * event that was read is never an older one, and a number that stands here is
 * still that event's: once closed, it may be anybody's.  An event put aside
 * for later stands in held[] before it counts as answered, and until it is.
 *
 * When all of these processes are gone, so is the table of descriptors, and
 * the fallback (gatekeeper/files/fallback.h) answers what was left: a response
 * is matched by the descriptor's number alone.  It has such memory of its own,
 * and in it the turn and slot 0.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/fanotify.h>

/* Events a gate reads at once: bounds its descriptors and what can be lost. */
#define GATE_BATCH_MAX	32
#define GATE_EVENT_SIZE sizeof(struct fanotify_event_metadata)

/* Events put aside at most; beyond, the oldest is answered as it stands. */
#define GATE_HELD_MAX 512

/* Two at work, and room for those that the kernel does not let die. */
#define GATE_SLOTS  4
#define GATE_NOBODY (-1)

/* Files that wait to be closed by who answers nobody. */
#define GATE_LEFT_MAX 256

/* Descriptors that all processes together may have. */
#define GATE_FDS_MAX 4096

struct gate_held {
	_Atomic int32_t fd; /* 0: free, no event has that number */
	int32_t tid;
	_Atomic uint64_t mask;
};

struct gate_shared {
	_Atomic uint64_t heartbeat;  /* grows with each batch and each wait */
	_Atomic uint64_t looks;	     /* of a spare, at whose turn it is */
	_Atomic uint32_t answered;   /* events of this batch, from the first */
	_Atomic uint32_t successors; /* that began on what it had left */
	_Atomic int32_t pid;	     /* 0: the slot is free */
	_Atomic int32_t pidfd;	     /* in the table that all share */
	struct gate_held held[GATE_HELD_MAX];
	alignas(64) char events[GATE_BATCH_MAX * GATE_EVENT_SIZE];
};

struct gate_table {
	_Atomic int32_t turn;	  /* whose it is to answer, or GATE_NOBODY */
	_Atomic uint32_t polling; /* gatekeeper: may poll before sleeping */
	_Atomic uint32_t unasked; /* files the kernel opens without asking */
	_Atomic uint64_t main_heartbeat; /* of the main process */
	struct gate_shared slots[GATE_SLOTS];
	_Atomic int32_t left[GATE_LEFT_MAX]; /* descriptors; 0: none */
	/* Whose a descriptor is: its slot + 1, GATE_OWNER_MAIN, or 0: unsaid */
	_Atomic uint8_t owners[GATE_FDS_MAX];
};

#define GATE_OWNER_MAIN 255

/* Make such memory.  *ret_fd is the caller's, and *ret to be unmapped. */
int gate_table_create(int *ret_fd, struct gate_table **ret);

/* Map it.  NULL and errno where that fails. */
struct gate_table *gate_table_map(int fd);
void gate_table_unmap(struct gate_table *table);

/* Forget a slot's batch: before a read, and when all of it is answered. */
void gate_table_clear(struct gate_shared *slot);

/* Whether anything that was read has not been answered. */
bool gate_table_slot_owes(const struct gate_shared *slot);
bool gate_table_owes(const struct gate_table *table);

/* Signs of life, of all slots together. */
uint64_t gate_table_heartbeats(const struct gate_table *table);

/* Say whose descriptor fd is (slot + 1, GATE_OWNER_MAIN), 0: no more. */
void gate_table_own(struct gate_table *table, int fd, int owner);

/*
 * Leave a descriptor to be closed by a spare: whoever closes a deleted file
 * last frees it, for as long as that takes.  False: max are left already.
 */
bool gate_table_leave(struct gate_table *table, int fd, size_t max);

/* Close one that was left so.  False: there was none. */
bool gate_table_close_left(struct gate_table *table);

/* Close what a dead gate has left open in the table that all share. */
void gate_table_close_of(struct gate_table *table, int owner);
