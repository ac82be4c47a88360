# What is only evidence: detection by its drivers, second factors, updates as the PC's own task has found them, and the task that hands events over.
Read-List 'drivers' {
    Get-CimInstance -ClassName Win32_SystemDriver -Filter "State='Running'" | ForEach-Object { [string]$_.Name }
}
Read-Section 'mfa' {
    $text = Read-Program 'mfa'
    $found = [ordered]@{}
    # Names that are the same in every language.
    foreach ($name in 'AzureAdJoined', 'DomainJoined', 'NgcSet', 'AzureAdPrt', 'SessionIsNotRemote') {
        $found[$name] = ''
        if ($text -match "(?m)^\s*$name : (\S+)") { $found[$name] = $Matches[1] }
    }
    $hello = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\Credential Providers\{D6886603-9D2F-4EB2-B667-1971041FA96B}'
    $found.Hello = @()
    if (Test-Path -LiteralPath $hello) {
        $found.Hello = @(Get-ChildItem -LiteralPath $hello | Where-Object { $_.GetValue('LogonCredsAvailable', 0) -eq 1 } | ForEach-Object { [string]$_.PSChildName })
    }
    $policies = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
    $found.ForceOption = 0
    if (Test-Path -LiteralPath $policies) { $found.ForceOption = [int](Get-Item -LiteralPath $policies).GetValue('ScForceOption', 0) }
    $found
}
Read-Section 'updates' {
    $file = $env:ProgramData + '\citadelle\updates.json'
    if (-not (Test-Path -LiteralPath $file)) { return [ordered]@{ Searched = $false } }
    $found = ConvertFrom-Json ([string](Get-Content -LiteralPath $file -Raw))
    $now = (Get-Date).ToUniversalTime()
    $ages = [ordered]@{}
    foreach ($name in 'searched', 'succeeded') {
        $ages[$name] = $null
        $at = [DateTime]::MinValue
        # Windows PowerShell leaves the text as it is; a newer one has made a date of it.
        if ($found.$name -is [DateTime]) { $at = ([DateTime]$found.$name).ToUniversalTime() }
        elseif ($found.$name) { $at = [DateTime]::Parse([string]$found.$name, [Globalization.CultureInfo]::InvariantCulture, 'AdjustToUniversal,AssumeUniversal') }
        if ($at -gt [DateTime]::MinValue) { $ages[$name] = [int][Math]::Floor(($now - $at).TotalDays) }
    }
    [ordered]@{
        Searched         = $true
        DaysSinceSearch  = $ages.searched
        DaysSinceSuccess = $ages.succeeded
        Error            = [string]$found.error
        Pending          = @($found.pending | Where-Object { $_ } | ForEach-Object {
            [ordered]@{ Name = [string]$_.title; Severity = [string]$_.severity; Restart = [bool]$_.restart }
        })
    }
}
Read-Section 'events' {
    try { $tasks = @(Get-ScheduledTask -TaskPath '\citadelle\') }
    catch { if ($_.FullyQualifiedErrorId -like 'CmdletizationQuery_NotFound*') { $tasks = @() } else { throw } }
    if (-not ($tasks | Where-Object { $_.TaskName -eq 'events' })) { return [ordered]@{ Result = $null; Minutes = $null } }
    $info = Get-ScheduledTaskInfo -TaskName 'events' -TaskPath '\citadelle\'
    $minutes = $null
    if ($info.LastRunTime) { $minutes = [long][Math]::Floor(((Get-Date) - [DateTime]$info.LastRunTime).TotalMinutes) }
    [ordered]@{ Result = '0x{0:X8}' -f [long]$info.LastTaskResult; Minutes = $minutes }
}
