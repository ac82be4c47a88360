$folder = $env:ProgramFiles + '\citadelle\rollback'
if (Test-Path -LiteralPath "$folder\undoing") { return 'undoing' }
if (-not (Test-Path -LiteralPath "$folder\armed")) { return 'gone' }
if (-not (Test-Path -LiteralPath "$folder\outcome")) { return 'waiting' }
$outcome = ([string](Get-Content -LiteralPath "$folder\outcome" -Raw -Encoding UTF8)).Trim()
if ($outcome -like '*going back failed*') { return $outcome }
if ($outcome -eq 'done' -and -not $keep) { return 'done' }
# Renamed in one step: either this keeps the change, or the rollback was faster.
Move-Item -LiteralPath "$folder\armed" -Destination "$folder\confirmed"
Unregister-ScheduledTask -TaskName 'citadelle-rollback' -Confirm:$false -ErrorAction SilentlyContinue
Remove-Item -LiteralPath $folder -Recurse -Force
if ($outcome -eq 'done') { 'kept' } else { $outcome }
