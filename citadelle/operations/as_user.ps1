# Runs one command line as a local account that nobody has a password of, and waits for its end: a task that is gone afterwards.
# 0x41301 runs, 0x41303 has not run yet, 0x41325 waits.
function Invoke-AsUser([string]$user, [string]$execute, [string]$arguments, [int]$seconds) {
    $name = 'run-' + [guid]::NewGuid().ToString('N')
    $action = New-ScheduledTaskAction -Execute $execute -Argument $arguments
    $principal = New-ScheduledTaskPrincipal -UserId "$env:COMPUTERNAME\$user" -LogonType S4U -RunLevel Limited
    $settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -ExecutionTimeLimit (New-TimeSpan -Seconds $seconds)
    Register-ScheduledTask -TaskName $name -TaskPath '\citadelle\' -Action $action -Principal $principal -Settings $settings | Out-Null
    try {
        Start-ScheduledTask -TaskName $name -TaskPath '\citadelle\'
        $until = (Get-Date).AddSeconds($seconds)
        do {
            Start-Sleep -Milliseconds 200
            $code = [long](Get-ScheduledTaskInfo -TaskName $name -TaskPath '\citadelle\').LastTaskResult
        } while (@(0x41301, 0x41303, 0x41325) -contains $code -and (Get-Date) -lt $until)
    }
    finally { Unregister-ScheduledTask -TaskName $name -TaskPath '\citadelle\' -Confirm:$false }
    if ($code -eq 0x80070569) { throw "task of ${user}: it has no right to log on as a batch job: does a group policy take SeBatchLogonRight?" }
    if ($code -eq 0x41301) { throw "task of ${user}: not at its end after $seconds s" }
    $code
}
# Only administrators and the system write it, one account reads it. Rights by SID, so in every language.
function Set-ReadOnlyFor([string]$path, [string]$sid) {
    & icacls.exe $path /inheritance:r /grant:r '*S-1-5-32-544:F' '*S-1-5-18:F' "*${sid}:R" /q | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls: exit code $LASTEXITCODE" }
    & icacls.exe $path /setowner '*S-1-5-32-544' /q | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls: exit code $LASTEXITCODE" }
}
