# bash completion for leash(1)

_leash()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	local command=${COMP_WORDS[1]} options=
	COMPREPLY=()

	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "init status watch explain
			allow deny undo mode learn reload check tools --help
			--version" -- "$word")
		return
	fi
	case $before in
	--account)
		mapfile -t COMPREPLY < <(compgen -u -- "$word")
		return ;;
	--workspace)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return ;;
	--kind)
		mapfile -t COMPREPLY < <(compgen -W "open list exec connect
			accept resolve call result daemon" -- "$word")
		return ;;
	--protocol)
		mapfile -t COMPREPLY < <(compgen -W "tcp udp udplite sctp icmp
			any" -- "$word")
		return ;;
	--for | --since)
		mapfile -t COMPREPLY < <(compgen -W "15m 1h 8h 7d" -- "$word")
		return ;;
	--program | --path | --file | file | exec | program)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames
		return ;;
	--why | --address | --profiles | host)
		return ;;
	esac
	case $command in
	init) options="--account --workspace --profiles --observe --yes
		--json" ;;
	status) options="--json" ;;
	watch) options="--denied --account --kind --path --program --top
		--json" ;;
	explain) options="file exec host tool --write --account --address
		--protocol --program --json" ;;
	allow) options="file program host tool --account --for --why --write
		--protocol --program --dry-run --last --yes --json" ;;
	deny) options="file program host tool --account --for --why --protocol
		--program --dry-run --json" ;;
	undo) options="--dry-run --json" ;;
	mode) options="observe enforce --account --why --dry-run --json" ;;
	learn) options="--account --since --refused --apply --json" ;;
	reload) options="--json" ;;
	tools) options="install list trust claude codex copilot cursor --undo
		--account --file --dry-run --yes --json" ;;
	check)
		mapfile -t COMPREPLY < <(compgen -f -W "--hosts --json" -- "$word")
		compopt -o filenames
		return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _leash leash
