# Completion of holdfast for bash (4.4 or later). Put it into a file that bash-completion loads by itself:
#   holdfast completion bash > ~/.local/share/bash-completion/completions/holdfast
# or write into ~/.bashrc:  source <(holdfast completion bash)

_holdfast() {
    local cur=${COMP_WORDS[COMP_CWORD]} line
    local -a answer
    [[ $cur == '=' ]] && cur=
    mapfile -t answer < <("${1/#\~/$HOME}" __complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    COMPREPLY=()
    for line in "${answer[@]:1}"; do
        COMPREPLY+=("${line%%$'\t'*}")
    done
    case ${answer[0]}+${#COMPREPLY[@]} in
        files+0) compopt -o default ;;
        folders+0) compopt -o dirnames ;;
        files+*)
            # Not as file names (compopt -o filenames): a source would get the "/" of a folder of its name.
            while IFS= read -r line; do
                [[ -d $line ]] && line+=/
                printf -v line %q "$line"
                COMPREPLY+=("$line")
            done < <(compgen -f -- "$cur")
            ;;
    esac
}

complete -o nosort -F _holdfast holdfast
