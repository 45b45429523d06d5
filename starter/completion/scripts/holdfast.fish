# Completion of holdfast for fish. Put it into a file that fish loads by itself:
#   holdfast completion fish > ~/.config/fish/completions/holdfast.fish
# or write into ~/.config/fish/config.fish:  holdfast completion fish | source

function __holdfast_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer ($words[1] __complete fish $words "$current" 2>/dev/null)
    printf '%s\n' $answer[2..]
    set -l option (string match -r -- '^--[^=]+=' "$current")
    set -l path (string sub -s (math (string length -- "$option") + 1) -- "$current")
    switch "$answer[1]"
        case files
            __fish_complete_path "$path" | string replace -r -- '^' "$option"
        case folders
            __fish_complete_directories "$path" | string replace -r -- '^' "$option"
    end
end

complete -c holdfast -f -k -a '(__holdfast_complete)'
