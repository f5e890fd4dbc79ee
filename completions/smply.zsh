#compdef smply

_smply_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _SMPLY_COMPLETE=complete_zsh smply)
}

compdef _smply_completion smply
