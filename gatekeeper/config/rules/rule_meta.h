#pragma once

/*
 * rule_meta - the keys that any rule may have: name, reason, log, mode, until
 *
 * Their context must begin with the struct policy_rule_meta that they fill.
 */

#include "gatekeeper/config/compile/compiler.h"

int rule_meta_name(struct compiler *compiler, const config_setting_t *setting,
		   void *meta);
int rule_meta_reason(struct compiler *compiler, const config_setting_t *setting,
		     void *meta);
int rule_meta_log(struct compiler *compiler, const config_setting_t *setting,
		  void *meta);
int rule_meta_mode(struct compiler *compiler, const config_setting_t *setting,
		   void *meta);
int rule_meta_until(struct compiler *compiler, const config_setting_t *setting,
		    void *meta);

#define RULE_META_KEYS                                                         \
	{"name", rule_meta_name}, {"reason", rule_meta_reason},                \
		{"log", rule_meta_log}, {"mode", rule_meta_mode},              \
	{                                                                      \
		"until", rule_meta_until                                       \
	}
