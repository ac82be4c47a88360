# Arms the rollback, then starts the change in a task of SYSTEM: it goes on when the line is cut.
# Where every user may write, somebody could lay scripts ready for SYSTEM: so not below ProgramData.
$folder = $env:ProgramFiles + '\citadelle\rollback'
$task = 'citadelle-rollback'
foreach ($mark in 'armed', 'undoing') {
    if (Test-Path -LiteralPath "$folder\$mark") { throw ($refused + ": another change waits for its confirmation`nhint: $hint") }
}
if (Test-Path -LiteralPath $folder) { Remove-Item -LiteralPath $folder -Recurse -Force }
New-Item -ItemType Directory -Path $folder -Force | Out-Null
try {
    & ([scriptblock]::Create($check))
    & ([scriptblock]::Create($save))
    Set-Content -LiteralPath "$folder\change.ps1" -Value $change -Encoding UTF8
    Set-Content -LiteralPath "$folder\undo.ps1" -Value $undo -Encoding UTF8
    Set-Content -LiteralPath "$folder\run.ps1" -Value $run -Encoding UTF8
    $start = "& ([scriptblock]::Create((Get-Content -LiteralPath '$folder\run.ps1' -Raw -Encoding UTF8)))"
    $words = '-NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand ' + [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($start))
    $action = New-ScheduledTaskAction -Execute ($env:SystemRoot + '\System32\WindowsPowerShell\v1.0\powershell.exe') -Argument $words
    $due = (Get-Date).AddSeconds($seconds)
    # Every minute until it has succeeded; and at once after a restart.
    $times = (New-ScheduledTaskTrigger -Once -At $due -RepetitionInterval (New-TimeSpan -Minutes 1)), (New-ScheduledTaskTrigger -AtStartup)
    $system = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    $settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable -MultipleInstances Parallel
    Register-ScheduledTask -TaskName $task -Action $action -Trigger $times -Principal $system -Settings $settings -Force | Out-Null
    Set-Content -LiteralPath "$folder\armed" -Value ([DateTimeOffset]$due).ToUnixTimeSeconds() -Encoding ASCII
    Set-Content -LiteralPath "$folder\go" -Value '' -Encoding ASCII
    Start-ScheduledTask -TaskName $task
}
catch {
    if (-not (Test-Path -LiteralPath "$folder\begun")) {
        Unregister-ScheduledTask -TaskName $task -Confirm:$false -ErrorAction SilentlyContinue
        Remove-Item -LiteralPath $folder -Recurse -Force
    }
    throw ($refused + ': ' + $_.Exception.Message + "`nhint: $hint")
}
