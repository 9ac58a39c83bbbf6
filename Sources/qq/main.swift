import QQCLI
