$watch = [Diagnostics.Stopwatch]::StartNew()
$sections = [ordered]@{}
$errors = [ordered]@{}
$registry = [ordered]@{}
# Only what is the same in every language: no message, which is translated.
function Add-Failure([string]$name, $failure) {
    $errors[$name] = [ordered]@{
        id     = [string]$failure.FullyQualifiedErrorId
        result = '0x{0:X8}' -f $failure.Exception.HResult
    }
}
function Read-Section([string]$name, [scriptblock]$query) {
    try { $sections[$name] = & $query } catch { Add-Failure $name $_ }
}
function Read-List([string]$name, [scriptblock]$query) {
    try { $sections[$name] = @(& $query) } catch { Add-Failure $name $_ }
}
# Programs take their time to start: all of them at once, while the rest is read. What was started is read by its name.
$started = @{}
function Start-Program([string]$name, [string]$words, [string[]]$paths) {
    try {
        $path = @($paths | Where-Object { Test-Path -LiteralPath $_ })[0]
        if (-not $path) { throw "no $(Split-Path -Path $paths[0] -Leaf)" }
        $how = New-Object -TypeName Diagnostics.ProcessStartInfo -ArgumentList (Get-Item -LiteralPath $path).FullName, $words
        $how.UseShellExecute = $false
        $how.RedirectStandardInput = $how.RedirectStandardOutput = $how.RedirectStandardError = $true
        $process = [Diagnostics.Process]::Start($how)
        $process.StandardInput.Close()  # this session's own input is scripts
        $started[$name] = @{ Process = $process; Out = $process.StandardOutput.ReadToEndAsync(); Err = $process.StandardError.ReadToEndAsync() }
    }
    catch { $started[$name] = $_ }
}
function Read-Program([string]$name) {
    if ($started[$name] -is [Management.Automation.ErrorRecord]) { throw $started[$name] }
    $text = $started[$name].Out.Result
    $started[$name].Process.WaitForExit()
    if ($started[$name].Process.ExitCode -ne 0) { throw "exit code $($started[$name].Process.ExitCode)" }
    $text
}
# What a program writes into a file that must not exist before.
$exports = @{}
function Start-Export([string]$name, [string]$words, [string]$path) {
    $exports[$name] = $env:SystemRoot + '\Temp\citadelle-' + [guid]::NewGuid().ToString('N')
    Start-Program $name ($words + $exports[$name]) $path
}
function Read-Export([string]$name) {
    try {
        Read-Program $name | Out-Null
        [string](Get-Content -LiteralPath $exports[$name] -Raw)
    }
    finally { if (Test-Path -LiteralPath $exports[$name]) { Remove-Item -LiteralPath $exports[$name] } }
}
$system = $env:SystemRoot + '\System32'
Start-Export 'security_policy' '/export /areas SECURITYPOLICY USER_RIGHTS /quiet /cfg ' "$system\secedit.exe"
Start-Export 'audit_policy' '/backup /file:' "$system\auditpol.exe"
Start-Program 'session' '/groups /fo csv /nh' "$system\whoami.exe"
Start-Program 'mfa' '/status' "$system\dsregcmd.exe"
Start-Program 'sshd' '-T' @("$system\OpenSSH\sshd.exe", ($env:ProgramFiles + '\OpenSSH\sshd.exe'))
# Numbers of an object; what it does not have stays unknown instead of becoming 0.
function Add-Number($to, $object, [string[]]$names) {
    foreach ($name in $names) { if ($null -ne $object.$name) { $to[$name] = [long]$object.$name } }
    $to
}
$keys = @{}
$denied = @{}
foreach ($value in $values) {
    $key, $name = $value -split '!', 2
    try {
        if (-not $keys.ContainsKey($key)) {
            $keys[$key] = $null
            try { if (Test-Path -LiteralPath $key) { $keys[$key] = Get-Item -LiteralPath $key } } catch { $denied[$key] = $_ }
        }
        # Not absent: all values of a key that cannot be opened are unknown, not the first one alone.
        if ($denied[$key]) { throw $denied[$key] }
        $read = $null
        if ($keys[$key]) { $read = $keys[$key].GetValue($name, $null) }
        $registry[$value] = $read
    }
    catch { Add-Failure "registry.$value" $_ }
}

Read-Section 'version' {
    $found = Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    [ordered]@{
        Build          = [int]$found.CurrentBuild
        Revision       = [int]$found.UBR
        EditionID      = [string]$found.EditionID
        DisplayVersion = [string]$found.DisplayVersion
    }
}
Read-Section 'session' {
    $groups = Read-Program 'session'
    # Without the names: identifiers are enough.
    [ordered]@{
        Groups    = @([regex]::Matches($groups, 'S-1-[0-9-]+') | ForEach-Object { $_.Value }) -join ' '
        UICulture = [string](Get-UICulture).Name
        Client    = ([string]$env:SSH_CONNECTION -split ' ')[0]
    }
}
Read-Section 'computer' {
    $system = Get-CimInstance -ClassName Win32_ComputerSystem
    [ordered]@{
        TotalPhysicalMemory = [long]$system.TotalPhysicalMemory
        PartOfDomain        = [bool]$system.PartOfDomain
        PartOfEntra         = [bool](Test-Path -Path 'HKLM:\SYSTEM\CurrentControlSet\Control\CloudDomainJoin\JoinInfo\*')
        Manufacturer        = [string]$system.Manufacturer
        Model               = [string]$system.Model
    }
}
Read-List 'disks' {
    Get-CimInstance -ClassName Win32_LogicalDisk -Filter 'DriveType=3' | ForEach-Object {
        [ordered]@{ DeviceID = [string]$_.DeviceID; Size = [long]$_.Size; FreeSpace = [long]$_.FreeSpace }
    }
}
Read-Section 'tpm' {
    $tpm = Get-Tpm
    $chip = Get-CimInstance -Namespace root/cimv2/Security/MicrosoftTpm -ClassName Win32_Tpm
    [ordered]@{
        TpmPresent     = [bool]$tpm.TpmPresent
        TpmReady       = [bool]$tpm.TpmReady
        LockedOut      = $tpm.LockedOut
        RestartPending = [bool]$tpm.RestartPending
        SpecVersion    = [string]$chip.SpecVersion
    }
}
Read-Section 'secure_boot' {
    try { [bool](Confirm-SecureBootUEFI) } catch [PlatformNotSupportedException] { $false }
}
Read-Section 'device_guard' {
    $found = Get-CimInstance -Namespace root/Microsoft/Windows/DeviceGuard -ClassName Win32_DeviceGuard
    [ordered]@{
        VirtualizationBasedSecurityStatus = [int]$found.VirtualizationBasedSecurityStatus
        SecurityServicesRunning           = @($found.SecurityServicesRunning | ForEach-Object { [int]$_ })
    }
}
Read-List 'gpus' {
    Get-CimInstance -ClassName Win32_VideoController | ForEach-Object {
        $gpu = [ordered]@{ Name = [string]$_.Name; InstanceId = [string]$_.PNPDeviceID; Driver = [string]$_.DriverVersion; Memory = $null }
        # AdapterRAM of this class ends at 4 GiB; the driver's own figure does not.
        $device = 'HKLM:\SYSTEM\CurrentControlSet\Enum\' + $_.PNPDeviceID
        $driver, $size = '', $null
        if (Test-Path -LiteralPath $device) { $driver = [string](Get-Item -LiteralPath $device).GetValue('Driver', '') }
        $driver = 'HKLM:\SYSTEM\CurrentControlSet\Control\Class\' + $driver
        if (Test-Path -LiteralPath $driver) { $size = (Get-Item -LiteralPath $driver).GetValue('HardwareInformation.qwMemorySize', $null) }
        if ($size -is [byte[]]) { $size = $(if ($size.Length -ge 8) { [BitConverter]::ToInt64($size, 0) }) }
        if ($null -ne $size) { $gpu.Memory = [long]$size }
        $gpu
    }
}
# A class of their own, but early drivers stand among the parts of the system or the sound devices.
Read-List 'npus' {
    try { $found = @(Get-PnpDevice -PresentOnly) }
    catch { if ($_.FullyQualifiedErrorId -like 'CmdletizationQuery_NotFound*') { $found = @() } else { throw } }
    $found | Where-Object { $_.Class -eq 'ComputeAccelerator' -or $_.InstanceId -match $neural } | ForEach-Object {
        [ordered]@{ Name = [string]$_.FriendlyName; InstanceId = [string]$_.InstanceId; Status = [string]$_.Status }
    }
}
# Never KeyProtector itself: it holds the recovery password.
Read-List 'bitlocker' {
    Get-BitLockerVolume | ForEach-Object {
        $volume = Add-Number ([ordered]@{ MountPoint = [string]$_.MountPoint }) $_ @('VolumeType', 'VolumeStatus', 'ProtectionStatus',
            'LockStatus', 'EncryptionMethod', 'EncryptionPercentage')
        $volume.AutoUnlockEnabled = $_.AutoUnlockEnabled
        $volume.KeyProtector = @($_.KeyProtector | Where-Object { $_ } | ForEach-Object {
            [ordered]@{ KeyProtectorId = [string]$_.KeyProtectorId; KeyProtectorType = [int]$_.KeyProtectorType }
        })
        $volume
    }
}
Read-List 'services' {
    Get-CimInstance -ClassName Win32_Service | ForEach-Object {
        [ordered]@{ Name = [string]$_.Name; State = [string]$_.State; StartMode = [string]$_.StartMode }
    }
}
Read-Section 'security_policy' { Read-Export 'security_policy' }
Read-Section 'audit_policy' { Read-Export 'audit_policy' }
Read-Section 'defender' {
    $found = Get-MpComputerStatus
    $status = [ordered]@{}
    foreach ($name in 'AMRunningMode', 'AntivirusSignatureAge', 'AMServiceEnabled', 'AntivirusEnabled', 'RealTimeProtectionEnabled',
        'BehaviorMonitorEnabled', 'IoavProtectionEnabled', 'NISEnabled', 'OnAccessProtectionEnabled', 'IsTamperProtected') { $status[$name] = $found.$name }
    $status
}
Read-Section 'defender_preferences' {
    $found = Get-MpPreference
    $ids = @($found.AttackSurfaceReductionRules_Ids | Where-Object { $_ })
    $actions = @($found.AttackSurfaceReductionRules_Actions | Where-Object { $null -ne $_ })
    [ordered]@{
        PUAProtection           = [int]$found.PUAProtection
        EnableNetworkProtection = [int]$found.EnableNetworkProtection
        MAPSReporting           = [int]$found.MAPSReporting
        Exclusions              = @(@($found.ExclusionPath) + @($found.ExclusionProcess) + @($found.ExclusionExtension) |
                Where-Object { $_ } | ForEach-Object { [string]$_ })
        Rules                   = @(for ($at = 0; $at -lt $ids.Count; $at++) {
                [ordered]@{ Id = ([string]$ids[$at]).ToLowerInvariant(); Action = [int]$actions[$at] }
            })
    }
}
Read-List 'antivirus' {
    Get-CimInstance -Namespace root/SecurityCenter2 -ClassName AntiVirusProduct | ForEach-Object {
        [ordered]@{ displayName = [string]$_.displayName; productState = [long]$_.productState }
    }
}
Read-List 'accounts' {
    Get-LocalUser | ForEach-Object {
        [ordered]@{ SID = [string]$_.SID.Value; Enabled = [bool]$_.Enabled; PasswordRequired = [bool]$_.PasswordRequired }
    }
}
Read-Section 'logon' {
    $found = Get-Item -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
    # Whether a password is stored there, never the password.
    [ordered]@{
        AutoAdminLogon = [string]$found.GetValue('AutoAdminLogon', '0')
        PasswordStored = [bool]$found.GetValue('DefaultPassword', '')
    }
}
# The first of these places that holds anything is the policy, and lends nothing from the others.
Read-Section 'laps' {
    $policy = [ordered]@{ BackupDirectory = 0 }
    foreach ($place in 'HKLM:\SOFTWARE\Microsoft\Policies\LAPS', 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\LAPS',
        'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\LAPS\Config') {
        if (-not (Test-Path -LiteralPath $place)) { continue }
        $found = Get-Item -LiteralPath $place
        if (-not $found.GetValueNames()) { continue }
        $policy.BackupDirectory = [int]$found.GetValue('BackupDirectory', 0)
        break
    }
    $policy
}
Read-List 'distributions' {
    # Each user's own; a hive is loaded while something runs as its user.
    $hives = @('HKCU:') + @(Get-ChildItem -LiteralPath 'Registry::HKEY_USERS' | ForEach-Object { 'Registry::' + $_.Name })
    foreach ($lxss in $hives | ForEach-Object { $_ + '\Software\Microsoft\Windows\CurrentVersion\Lxss' }) {
        if (-not (Test-Path -LiteralPath $lxss)) { continue }
        Get-ChildItem -LiteralPath $lxss | Where-Object { $_.GetValue('DistributionName', '') } | ForEach-Object {
            [ordered]@{ DistributionName = [string]$_.GetValue('DistributionName'); Flags = [int]$_.GetValue('Flags', 0) }
        }
    }
}
Read-Section 'restart' {
    $manager = Get-Item -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager'
    $base = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion'
    [ordered]@{
        Servicing   = [bool](Test-Path -LiteralPath "$base\Component Based Servicing\RebootPending")
        Update      = [bool](Test-Path -LiteralPath "$base\WindowsUpdate\Auto Update\RebootRequired")
        FileRenames = [bool]$manager.GetValue('PendingFileRenameOperations', $null)
    }
}
