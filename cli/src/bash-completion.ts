// The script for bash. That of the completion library needs the package bash-completion; this one needs only bash.

export const bashScript = `# bash completion for chutes-miner
_chutes_miner() {
  local line word words=()
  # bash takes "--name=x" apart; the program wants the two words.
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD}"; do
    [ "$word" = "=" ] || words+=("$word")
  done
  [ "\${COMP_WORDS[COMP_CWORD]}" = "=" ] && words+=("")
  COMPREPLY=()
  while IFS=$'\\t' read -r line _; do
    case "$line" in
      "" | :*) ;;
      *) printf -v line %q "$line" && COMPREPLY+=("$line") ;;
    esac
  done < <(chutes-miner complete -- "\${words[@]}" 2>/dev/null)
}
complete -o default -F _chutes_miner chutes-miner
`;
