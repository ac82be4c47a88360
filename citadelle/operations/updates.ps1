# Runs the program of updates as the system, and waits for it. `$more` is its switch.
$name = 'updates-run'
$execute = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
$action = New-ScheduledTaskAction -Execute $execute -Argument "$arguments $more"
$principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -ExecutionTimeLimit (New-TimeSpan -Minutes $minutes)
Register-ScheduledTask -TaskName $name -TaskPath '\citadelle\' -Action $action -Principal $principal -Settings $settings -Force | Out-Null
try {
    Start-ScheduledTask -TaskName $name -TaskPath '\citadelle\'
    $until = (Get-Date).AddMinutes($minutes)
    do {
        Start-Sleep -Milliseconds 500
        $code = [long](Get-ScheduledTaskInfo -TaskName $name -TaskPath '\citadelle\').LastTaskResult
    } while (@(0x41301, 0x41303, 0x41325) -contains $code -and (Get-Date) -lt $until)
}
finally { Unregister-ScheduledTask -TaskName $name -TaskPath '\citadelle\' -Confirm:$false }
if ($code -ne 0) {
    $file = $env:ProgramData + '\citadelle\updates.json'
    $said = ''
    if (Test-Path -LiteralPath $file) { $said = (ConvertFrom-Json ([string](Get-Content -LiteralPath $file -Raw))).error }
    throw "updates: task result $('0x{0:X8}' -f $code): $said"
}
