$found = [ordered]@{ present = $false; enabled = $false; running = $false; at_startup = $false; user = ''; logon = 0; level = 0; execute = ''; arguments = ''; limit = ''; restarts = 0 }
$task = Get-ScheduledTask -TaskPath '\citadelle\' -ErrorAction SilentlyContinue | Where-Object { $_.TaskName -eq 'wsl' }
if ($task) {
    $found.present = $true
    $found.enabled = [int]$task.State -ne 1
    $found.running = [int]$task.State -eq 4
    $found.at_startup = [bool]($task.Triggers | Where-Object { $_.CimClass.CimClassName -eq 'MSFT_TaskBootTrigger' -and $_.Enabled })
    $found.user = ([string]$task.Principal.UserId -split '\\')[-1]
    $found.logon = [int]$task.Principal.LogonType
    $found.level = [int]$task.Principal.RunLevel
    $found.execute = [string]$task.Actions[0].Execute
    $found.arguments = [string]$task.Actions[0].Arguments
    $found.limit = [string]$task.Settings.ExecutionTimeLimit
    $found.restarts = [int]$task.Settings.RestartCount
}
$found
