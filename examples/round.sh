#!/bin/sh
# Plays one round against a purser wallet with curl, with retries the right way.
#
# Against `purser serve --demo`:  sh examples/round.sh
#
# A request is sent again exactly as it was, with the same id: the wallet books an id once.
# A bet whose fate stays unknown is rolled back, which settles it: 0 means that it was
# booked and is reversed, -8 that it never was and never will be.
set -eu

BASE_URL=${BASE_URL:-http://127.0.0.1:9816}
USERNAME=${USERNAME:-demo}
PASSWORD=${PASSWORD:-demo}
ACCOUNT=${ACCOUNT:-demo/player-1}
STAKE=2.00
WINNINGS=5.00

# Ids that nobody has used: the time and our process.
unique=$(date +%s)-$$
count=0

# post PATH MEMBERS: prints the answer, or fails when no attempt brought one.
post() {
    body="{\"PlatformKey\":\"demo\",\"Sequence\":\"$unique\",\"Timestamp\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",$2}"
    for pause in 0.1 0.2 0.4 0.8 1.6; do
        # --fail: an answer with another status than 200 counts as none.
        answer=$(curl -sS --fail --max-time 35 -u "$USERNAME:$PASSWORD" \
            -H 'Content-Type: application/json' "$BASE_URL$1" -d "$body") || answer=
        # curl takes a connection that ends within the head for an answer without a body.
        case $answer in
            '{"ErrorCode":'*'}')
                printf '%s\n' "$answer"
                return 0
                ;;
        esac
        sleep "$pause"
    done
    return 1
}

# member NAME ANSWER: the text of a member that is a string.
member() {
    printf '%s' "$2" | sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"
}

# code ANSWER: its ErrorCode.
code() {
    printf '%s' "$1" | sed 's/.*"ErrorCode":\(-\{0,1\}[0-9]*\).*/\1/'
}

# expect_success ANSWER: stops when it is a refusal.
expect_success() {
    if [ "$(code "$1")" != 0 ]; then
        echo "refused: $1" >&2
        exit 1
    fi
}

# owed PATH MEMBERS: tries again until it is done. A real platform keeps what it owes in
# its own storage, and goes on when it is started again.
owed() {
    until answer=$(post "$1" "$2"); do
        count=$((count + 1))
        if [ "$count" -ge 5 ]; then
            echo "still owed, keep it and send it again: $1" >&2
            exit 1
        fi
    done
    printf '%s\n' "$answer"
}

player="\"OperatorAccountID\":\"$ACCOUNT\",\"GameID\":\"roulette\""
answer=$(post /v1.0/session/createtoken "$player")
expect_success "$answer"
token=$(member SessionToken "$answer")
answer=$(post /v1.0/session/redeemtoken "\"SessionToken\":\"$token\",\"IPAddress\":\"203.0.113.7\"")
expect_success "$answer"
session=$(member GatewaySessionToken "$answer")
currency=$(member CurrencyCode "$answer")

round="$player,\"GameRoundID\":\"r-$unique\",\"CurrencyCode\":\"$currency\",\"GatewaySessionToken\":\"$session\""

bet="$round,\"GameRoundTransactionID\":\"bet-$unique\",\"Amount\":\"$STAKE\",\"StartRound\":true,\"EndRound\":false"
if ! answer=$(post /v1.0/gameround/placebet "$bet"); then
    rollback="$round,\"GameRoundTransactionID\":\"rollback-$unique\",\"OriginalBetGameRoundTransactionID\":\"bet-$unique\",\"Amount\":\"$STAKE\",\"EndRound\":true"
    answer=$(owed /v1.0/gameround/rollbackbet "$rollback")
    [ "$(code "$answer")" = -8 ] || expect_success "$answer"
    echo "the fate of the bet was unknown: rolled back, the round is not played"
    exit 0
fi
expect_success "$answer"
echo "bet $STAKE, cash now $(member CashFunds "$answer")"

award="$round,\"GameRoundTransactionID\":\"award-$unique\",\"Amount\":\"$WINNINGS\",\"StartRound\":false,\"EndRound\":false"
answer=$(owed /v1.0/gameround/awardwinnings "$award")
expect_success "$answer"
echo "won $WINNINGS, cash now $(member CashFunds "$answer")"

answer=$(owed /v1.0/gameround/end "$round")
expect_success "$answer"
echo "the round is over"
