# Runs as SYSTEM: first by the run that armed it, to make the change; later by its time or a restart, to undo it.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$folder = $env:ProgramFiles + '\citadelle\rollback'
$task = 'citadelle-rollback'
function Invoke-Part([string]$name) { & ([scriptblock]::Create((Get-Content -LiteralPath "$folder\$name.ps1" -Raw -Encoding UTF8))) }
function Write-Outcome([string]$text) { Set-Content -LiteralPath "$folder\outcome" -Value $text -Encoding UTF8 }
function Remove-All {
    Unregister-ScheduledTask -TaskName $task -Confirm:$false -ErrorAction SilentlyContinue
    Remove-Item -LiteralPath $folder -Recurse -Force
}
if (Test-Path -LiteralPath "$folder\go") {
    Move-Item -LiteralPath "$folder\go" -Destination "$folder\begun"
    Start-Sleep -Seconds 1  # the answer of the run that armed it leaves first
    try { Invoke-Part 'change'; Write-Outcome 'done' }
    catch {
        $told = [string]$_.Exception.Message
        try { Invoke-Part 'undo' } catch { $told += '; and going back failed: ' + $_.Exception.Message }
        Write-Outcome "failed: $told"
    }
}
else {
    try {
        # Renamed in one step: either this goes back, or the confirmation came before.
        if (Test-Path -LiteralPath "$folder\armed") { Move-Item -LiteralPath "$folder\armed" -Destination "$folder\undoing" }
        if ((Test-Path -LiteralPath "$folder\undoing") -and (Test-Path -LiteralPath "$folder\begun")) { Invoke-Part 'undo' }
        Remove-All
    }
    catch { Write-Outcome ('failed: going back failed: ' + $_.Exception.Message) }
}
