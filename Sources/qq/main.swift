import QQCLI

runAndExit()
