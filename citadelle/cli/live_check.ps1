# Shows on one real PC what no double can. It reads only: nothing is set, started or stopped (secedit needs a file in Windows\Temp, which
# is removed). Run it as an administrator, after a
# deploy, and once more after a restart with nobody logged in:
#   powershell.exe -NoProfile -ExecutionPolicy Bypass -File live-check.ps1
# What each line should say, and what to do where it does not: docs/live-windows.md
param([string]$Owner = 'citadelle-wsl', [string]$Distribution = 'citadelle', [int]$Port = 8080)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$other = 0
# `$look` gives what was found; `$wanted` is a pattern that it must match as a whole.
function Show-Check([string]$id, [string]$what, [string]$wanted, [scriptblock]$look) {
    try { $found = [string](& $look) } catch { $found = 'error ' + $_.FullyQualifiedErrorId }
    $word = 'ok   '
    if ($found -notmatch "^(?:$wanted)$") { $word = 'OTHER'; $script:other++ }
    Write-Output "$word $id ${what}: $found"
}
$account = Get-LocalUser | Where-Object { $_.Name -eq $Owner }
$sid = 'none'
if ($account) { $sid = [string]$account.SID.Value }
$profiles = "HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\$sid"
$folder = 'C:\none'
if (Test-Path -LiteralPath $profiles) { $folder = [string](Get-ItemProperty -LiteralPath $profiles).ProfileImagePath }

# PowerShell and .NET, as the scripts expect them.
Show-Check L01 'Windows PowerShell' '5\.1\.\d+\.\d+ Desktop FullLanguage' {
    "$($PSVersionTable.PSVersion) $($PSVersionTable.PSEdition) $($ExecutionContext.SessionState.LanguageMode)"
}
Show-Check L02 '.NET Framework, 528040 is 4.8' '(52[89]|5[3-9]\d)\d{3}' {
    (Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full').Release
}
Show-Check L03 'session: administrator, level high or system' 'S-1-5-32-544 S-1-16-(12288|16384)' {
    $groups = (& whoami.exe /groups /fo csv /nh) -join ' '
    $level = [regex]::Match($groups, 'S-1-16-\d+').Value
    if ($groups -match 'S-1-5-32-544') { "S-1-5-32-544 $level" } else { $level }
}
Show-Check L04 'members of Administrators can be read' '\d+' { @(Get-LocalGroupMember -SID 'S-1-5-32-544').Count }
Show-Check L05 'registry of users can be listed' '\d+' { @(Get-ChildItem -LiteralPath 'Registry::HKEY_USERS').Count }

# The account that owns WSL.
Show-Check L10 'account of WSL' 'S-1-5-21-\d+-\d+-\d+-\d+ True' { "$sid $($account.Enabled)" }
Show-Check L11 'its rights, as secedit writes them' 'batch no-console no-rdp' {
    $file = $env:SystemRoot + '\Temp\citadelle-live-' + [guid]::NewGuid().ToString('N')
    & secedit.exe /export /areas USER_RIGHTS /cfg $file /quiet | Out-Null
    $text = [string](Get-Content -LiteralPath $file -Raw)
    Remove-Item -LiteralPath $file
    $names = [ordered]@{ SeBatchLogonRight = 'batch'; SeDenyInteractiveLogonRight = 'no-console'; SeDenyRemoteInteractiveLogonRight = 'no-rdp' }
    $held = foreach ($right in $names.Keys) {
        if ($text -match "(?m)^$right = (.*?)\s*$" -and ($Matches[1] -split ',' | Where-Object { $_ -eq "*$sid" -or $_ -eq $Owner })) { $names[$right] }
    }
    $held -join ' '
}
Show-Check L12 'access to its keys' 'O:(BA|S-1-5-32-544).*D:\w*P\w*\(.*' { (Get-Acl -LiteralPath "$folder\.ssh\authorized_keys").Sddl }
Show-Check L13 'its registry is loaded' 'True' { Test-Path -LiteralPath "Registry::HKEY_USERS\$sid" }

# WSL as that account, in session 0.
Show-Check L20 'WSL release' '([3-9]|2\.([5-9]|\d\d))\..*' { (Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Lxss\MSI').Version }
Show-Check L21 'the distribution is its own, and WSL2' 'True' {
    $lxss = "Registry::HKEY_USERS\$sid\Software\Microsoft\Windows\CurrentVersion\Lxss"
    $mine = Get-ChildItem -LiteralPath $lxss | Where-Object { $_.GetValue('DistributionName', '') -eq $Distribution }
    [bool]([int]$mine.GetValue('Flags', 0) -band 8)
}
Show-Check L22 'task at startup: state, result, logon' 'Running 0x00041301 S4U' {
    $task = Get-ScheduledTask -TaskPath '\citadelle\' -TaskName 'wsl'
    $info = Get-ScheduledTaskInfo -TaskPath '\citadelle\' -TaskName 'wsl'
    "$($task.State) $('0x{0:X8}' -f [long]$info.LastTaskResult) $($task.Principal.LogonType)"
}
Show-Check L23 'virtual machine of WSL, in session 0' '0' { (Get-Process -Name 'vmmemWSL' | Select-Object -First 1).SessionId }
Show-Check L24 'sessions at console or over RDP (0 after an unattended restart)' '0' {
    @(Get-CimInstance -ClassName Win32_LogonSession | Where-Object { @(2, 10, 11) -contains $_.LogonType }).Count
}
Show-Check L25 'gateway answers Windows through WSL''s loopback, without a key' '401' {
    $client = New-Object Net.Sockets.TcpClient '127.0.0.1', $Port
    $stream = $client.GetStream()
    $stream.ReadTimeout = 10000
    $ask = [Text.Encoding]::ASCII.GetBytes("GET /v1/models HTTP/1.1`r`nHost: 127.0.0.1`r`nConnection: close`r`n`r`n")
    $stream.Write($ask, 0, $ask.Length)
    $line = (New-Object IO.StreamReader $stream).ReadLine()
    $client.Close()
    ($line -split ' ')[1]
}
Show-Check L26 'engine''s port on Windows: listeners' '0' {
    @(Get-NetTCPConnection -State Listen | Where-Object { $_.LocalPort -eq 11434 }).Count
}

# What the looks at firewall and graphics stand on.
Show-Check L27 'a filter of the firewall in force names its rule: port, program' 'True True' {
    $names = @(Get-NetFirewallRule -PolicyStore ActiveStore -Name 'OpenSSH-Server-In-TCP*' | ForEach-Object { [string]$_.Name })
    $ports = @(Get-NetFirewallPortFilter -PolicyStore ActiveStore | Where-Object { $names -contains [string]$_.InstanceID })
    $programs = @(Get-NetFirewallApplicationFilter -PolicyStore ActiveStore | Where-Object { $names -contains [string]$_.InstanceID })
    "$($names.Count -gt 0 -and $ports.Count -eq $names.Count) $($programs.Count -eq $names.Count)"
}
Show-Check L28 'graphics memory in bytes, as drivers have written it' '((Int64|UInt64|Byte\[\]):\S+ ?)+|none' {
    $class = 'HKLM:\SYSTEM\CurrentControlSet\Control\Class\'
    $sizes = @(Get-CimInstance -ClassName Win32_VideoController | ForEach-Object {
        $device = 'HKLM:\SYSTEM\CurrentControlSet\Enum\' + $_.PNPDeviceID
        if (Test-Path -LiteralPath $device) {
            $size = (Get-Item -LiteralPath ($class + (Get-Item -LiteralPath $device).GetValue('Driver'))).GetValue('HardwareInformation.qwMemorySize')
            if ($null -ne $size) { "$($size.GetType().Name):$($size -join '.')" }
        }
    })
    if ($sizes) { $sizes -join ' ' } else { 'none' }
}

# What a restart, an update and an antivirus do here.
Show-Check L30 'BitLocker of the system volume: protected, starts left suspended' 'True 0' {
    $volume = Get-CimInstance -Namespace root/cimv2/Security/MicrosoftVolumeEncryption -ClassName Win32_EncryptableVolume -Filter "DriveLetter='C:'"
    $status = Invoke-CimMethod -InputObject $volume -MethodName GetProtectionStatus
    $count = Invoke-CimMethod -InputObject $volume -MethodName GetSuspendCount
    "$($status.ProtectionStatus -eq 1) $([int]$count.SuspendCount)"
}
Show-Check L31 'search for updates, by the system''s task' '\d{4}-\d\d-\d\dT.* error: ' {
    $found = ConvertFrom-Json ([string](Get-Content -LiteralPath "$env:ProgramData\citadelle\updates.json" -Raw))
    $at = $found.searched
    if ($at -is [DateTime]) { $at = $at.ToUniversalTime().ToString('o') }
    "$at error: $($found.error)"
}
Show-Check L32 'Windows Update tells its last success as a date' '\d{4}-\d\d-\d\d' {
    ([DateTime](New-Object -ComObject Microsoft.Update.AutoUpdate).Results.LastInstallationSuccessDate).ToString('yyyy-MM-dd')
}
Show-Check L33 'Defender: mode, tamper protection' '(Normal|Passive Mode|SxS Passive Mode|EDR Block Mode|Not running) (True|False)' {
    $status = Get-MpComputerStatus
    "$($status.AMRunningMode) $($status.IsTamperProtected)"
}
Show-Check L34 'dsregcmd speaks English labels' 'AzureAdJoined (YES|NO)' {
    $text = (& dsregcmd.exe /status) -join "`n"
    if ($text -match '(?m)^\s*(AzureAdJoined) : (\S+)') { "$($Matches[1]) $($Matches[2])" }
}
Show-Check L35 'events: channels of the table that the owner may read, newest logon''s record' '(\d+) of \1, \d+|no role events' {
    $file = "$env:ProgramData\citadelle\events.json"
    if (-not (Test-Path -LiteralPath $file)) { return 'no role events' }
    $names = @((ConvertFrom-Json ([string](Get-Content -LiteralPath $file -Raw))).events | ForEach-Object { $_.channel } | Sort-Object -Unique)
    $open = @($names | Where-Object { (Get-WinEvent -ListLog $_).SecurityDescriptor -match '\(A;;0x[0-9a-f]*[13579bdf];;;(S-1-5-32-573|ER)\)' })
    $newest = @(Get-WinEvent -LogName Security -FilterXPath '*[System[(EventID=4624)]]' -MaxEvents 1)
    $record = [long]([xml]$newest[0].ToXml()).DocumentElement['System']['EventRecordID'].InnerText
    "$($open.Count) of $($names.Count), $record"
}
Show-Check L36 'task that hands events over: result, minutes since' '0x000(00000|41301) 1?[0-9]|no role events' {
    if (-not (Test-Path -LiteralPath "$env:ProgramData\citadelle\events.json")) { return 'no role events' }
    $info = Get-ScheduledTaskInfo -TaskPath '\citadelle\' -TaskName 'events'
    "$('0x{0:X8}' -f [long]$info.LastTaskResult) $([int]((Get-Date) - $info.LastRunTime).TotalMinutes)"
}
Write-Output "$other lines say something else than expected"
if ($other) { exit 1 }
exit 0
