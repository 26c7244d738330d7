#!/usr/bin/env bash
# The second step of action.yml: every problem as an annotation; what the change will do in the job's summary,
# and in one comment for each jobs file. What others choose comes in through the environment, never as code.
set -euo pipefail

sinkd=$RUNNER_TEMP/sinkd/bin/sinkd
body=$RUNNER_TEMP/sinkd-plan.md

# Writes the plan of a file to $body; where there is none, as while the file has errors, $body says so.
plan() {
	local said
	if said=$("$sinkd" plan --config "$1" ${BASE:+"--base=$BASE"} -o markdown 2>&1 >"$body"); then return; fi
	said=${said##*$'\n'} # the lines before show the file, which could hold commands for the runner
	echo "::warning title=No plan of $1::${said//%/%25}"
	printf '<!-- sinkd-plan: %s -->\n### sinkd plan: none\n\nThe checks of this pull request say why.\n' "$1" >"$body"
}

# Puts $body into the comment that begins with the same marker; the first time, into a new one.
comment() {
	local issues="repos/$GITHUB_REPOSITORY/issues" found
	found=$(MARKER=$(head -n 1 "$body") gh api --paginate "$issues/$PULL_REQUEST/comments?per_page=100" --jq \
		'.[] | select(.user.login == "github-actions[bot]" and (.body | startswith(env.MARKER))) | .id') || return
	if [[ $found ]]; then
		gh api --silent --method PATCH "$issues/comments/${found%%$'\n'*}" --field "body=@$body"
	else
		gh api --silent --method POST "$issues/$PULL_REQUEST/comments" --field "body=@$body"
	fi
}

if [[ $GITHUB_EVENT_NAME == pull_request_target ]]; then
	echo "::error::pull_request_target hands a fork this repository's token: run sinkd on pull_request"
	exit 2
fi

read -r -d '' -a paths <<<"$FILES" || true # it returns 1 at the end of the text
validate=("$sinkd" validate -o github)
[[ $STRICT != true ]] || validate+=(--strict)
code=0
"${validate[@]}" "${paths[@]}" || code=$?

# sinkd itself compares with the default branch, but a pull request may go to another one.
if [[ -z $BASE ]]; then
	BASE=$(git -c "safe.directory=$PWD" merge-base HEAD "refs/remotes/origin/${GITHUB_BASE_REF-}" 2>/dev/null) || BASE=
fi
# The token of a fork's pull request may not write.
[[ $HEAD_REPOSITORY == "$GITHUB_REPOSITORY" ]] || COMMENT=false
for path in "${paths[@]}"; do
	plan "$path"
	cat "$body" >>"$GITHUB_STEP_SUMMARY"
	if [[ $COMMENT == true ]] && ! comment; then
		echo "::warning title=No comment::see the log; the job needs the permission pull-requests: write"
	fi
done
exit "$code"
