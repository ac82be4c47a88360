# Win32_EncryptableVolume: the methods that BitLocker's cmdlets stand on, after their documentation. Each answers a number: 0, or an HRESULT.
# A volume of state.json may have more than what cmdlets show: EncryptionStep (percent of each look; absent: all at once), Test (pending),
# SuspendCount, Suspended, and of a protector AutoUnlock, PinLength, Backups.
$DoubleVolumeMethods = @{}
function VolumeMethod([string]$Name, [scriptblock]$Work, [string[]]$Takes = @(), [switch]$Changes) {
    $DoubleVolumeMethods[$Name] = @{ Work = $Work; Takes = $Takes; Changes = [bool]$Changes }
}
function Stop-DoubleVolume([string]$Code) { throw [Convert]::ToUInt32($Code, 16) }
# Answers null for a method that is not played, else the method's out parameters with ReturnValue.
function Invoke-DoubleVolume([string]$Mount, [string]$Method, $Given) {
    $doubleMethod = $DoubleVolumeMethods[$Method]
    if (-not $doubleMethod) { return }
    $doubleBox = @{}
    try {
        foreach ($name in @($Given.Keys | Where-Object { $_ })) { if ($doubleMethod.Takes -notcontains $name) { Stop-DoubleVolume '80070057' } }
        if ($doubleMethod.Changes) {
            Edit-DoubleState { param($state) $doubleBox.out = & $doubleMethod.Work $state.bitlocker.$Mount $state $Given }
        } else {
            $doubleNow = Get-DoubleState
            $doubleBox.out = & $doubleMethod.Work $doubleNow.bitlocker.$Mount $doubleNow $Given $Mount
        }
    } catch {
        if ($_.TargetObject -isnot [uint32]) { throw }
        return [ordered]@{ ReturnValue = $_.TargetObject }
    }
    $doubleBox.out + [ordered]@{ ReturnValue = [uint32]0 }
}
function Get-DoublePolicy([string]$Name) {
    $key = 'HKLM:\SOFTWARE\Policies\Microsoft\FVE'
    if (Test-Path -LiteralPath $key) { (Get-Item -LiteralPath $key).GetValue($Name, $null) }
}
function Get-DoubleKeys($Volume) { $Volume.KeyProtector | Where-Object { $_ } }
function Assert-DoubleUnlocked($Volume) { if ($Volume.LockStatus -eq 'Locked') { Stop-DoubleVolume '80310000' } }
# One key of 8 groups of 6 digits, each a multiple of 11 that fits 16 bits.
function New-DoubleRecoveryPassword { (1..8 | ForEach-Object { '{0:D6}' -f (11 * (Get-Random -Minimum 0 -Maximum 65536)) }) -join '-' }
function Add-DoubleKey($Volume, [string]$Type, $More = @{}) {
    $id = [guid]::NewGuid().ToString('B').ToUpperInvariant()
    $fields = [ordered]@{ KeyProtectorId = $id; KeyProtectorType = $Type; RecoveryPassword = '' }
    foreach ($name in $More.Keys) { $fields[$name] = $More[$name] }
    $Volume.KeyProtector = @(Get-DoubleKeys $Volume) + [pscustomobject]$fields
    [ordered]@{ VolumeKeyProtectorID = $id }
}
# Protection is on where all is encrypted and a key guards it that nobody has suspended.
function Update-DoubleProtection($Volume) {
    $guarded = $Volume.VolumeStatus -like 'FullyEncrypted*' -and @(Get-DoubleKeys $Volume).Count -and -not $Volume.Suspended
    $Volume.ProtectionStatus = if ($guarded) { 'On' } else { 'Off' }
}
function Move-DoubleConversion($Volume, [double]$Percent) {
    $Volume.EncryptionPercentage = [Math]::Min(100, $Percent)
    $Volume.VolumeStatus = if ($Volume.EncryptionPercentage -ge 100) { 'FullyEncrypted' } else { 'EncryptionInProgress' }
    Update-DoubleProtection $Volume
}
function Find-DoubleKey($Volume, $Given, [string]$Type) {
    $found = @(Get-DoubleKeys $Volume | Where-Object { $_.KeyProtectorId -eq $Given.VolumeKeyProtectorID })
    if (-not $found) { Stop-DoubleVolume '80070490' }
    if ($Type -and $found[0].KeyProtectorType -ne $Type) { Stop-DoubleVolume '8031003A' }
    $found[0]
}
function Assert-DoubleStart($Volume, $State) {
    if ($Volume.VolumeType -ne 'OperatingSystem') { Stop-DoubleVolume '80310017' }
    if (-not $State.tpm.TpmPresent -or -not $State.tpm.TpmEnabled) { Stop-DoubleVolume '8031003F' }
    if (-not $State.tpm.TpmReady) { Stop-DoubleVolume '80310018' }
}
VolumeMethod 'GetLockStatus' { param($v) [ordered]@{ LockStatus = [uint32]$(if ($v.LockStatus -eq 'Locked') { 1 } else { 0 }) } }
VolumeMethod 'GetProtectionStatus' {
    param($v) [ordered]@{ ProtectionStatus = [uint32]@('Off', 'On', 'Unknown').IndexOf([string]$v.ProtectionStatus) }
}
VolumeMethod 'GetConversionStatus' {
    param($v, $state, $given, $mount)
    Assert-DoubleUnlocked $v
    if ($v.VolumeStatus -eq 'EncryptionInProgress' -and $v.EncryptionStep) {
        Edit-DoubleState {
            param($state) $now = $state.bitlocker.$mount; Move-DoubleConversion $now ($now.EncryptionPercentage + $now.EncryptionStep)
        }
        $v = (Get-DoubleState).bitlocker.$mount
    }
    $status = if ($v.VolumeStatus -like 'FullyEncrypted*') { 1 } else {
        @('FullyDecrypted', 'FullyEncrypted', 'EncryptionInProgress', 'DecryptionInProgress', 'EncryptionSuspended',
            'DecryptionSuspended').IndexOf([string]$v.VolumeStatus) }
    [ordered]@{ ConversionStatus = [uint32]$status; EncryptionPercentage = [uint32][Math]::Floor([double]$v.EncryptionPercentage); EncryptionFlags = [uint32]0
        WipingStatus = [uint32]0; WipingPercentage = [uint32]0 }
}
VolumeMethod 'GetKeyProtectors' -Takes 'KeyProtectorType' {
    param($v, $state, $given)
    $names = @('', 'Tpm', 'ExternalKey', 'RecoveryPassword', 'TpmPin', 'TpmStartupKey', 'TpmPinStartupKey', 'PublicKey', 'Password')
    $kind = $names[[int]$given.KeyProtectorType]
    $ids = @(Get-DoubleKeys $v | Where-Object { -not $kind -or $_.KeyProtectorType -eq $kind } | ForEach-Object { $_.KeyProtectorId })
    [ordered]@{ VolumeKeyProtectorID = $ids }
}
VolumeMethod 'GetKeyProtectorNumericalPassword' -Takes 'VolumeKeyProtectorID' {
    param($v, $state, $given)
    Assert-DoubleUnlocked $v
    [ordered]@{ NumericalPassword = [string](Find-DoubleKey $v $given 'RecoveryPassword').RecoveryPassword }
}
VolumeMethod 'GetHardwareTestStatus' { param($v) [ordered]@{ TestStatus = [uint32]$(if ($v.Test -eq 'pending') { 2 } else { 0 }); TestError = [uint32]0 } }
VolumeMethod 'GetSuspendCount' { param($v) [ordered]@{ SuspendCount = [uint32]$v.SuspendCount } }
VolumeMethod 'IsAutoUnlockEnabled' {
    param($v)
    if ($v.VolumeType -eq 'OperatingSystem') { Stop-DoubleVolume '80310016' }
    [ordered]@{ IsAutoUnlockEnabled = [bool]$v.AutoUnlockEnabled }
}
VolumeMethod 'ProtectKeyWithNumericalPassword' -Changes -Takes 'FriendlyName', 'NumericalPassword' {
    param($v, $state, $given)
    Assert-DoubleUnlocked $v
    $scope = if ($v.VolumeType -eq 'OperatingSystem') { 'OS' } else { 'FDV' }
    if ((Get-DoublePolicy "${scope}Recovery") -eq 1 -and (Get-DoublePolicy "${scope}RecoveryPassword") -eq 0) { Stop-DoubleVolume '8031005C' }
    Add-DoubleKey $v 'RecoveryPassword' @{ RecoveryPassword = $(if ($given.NumericalPassword) { $given.NumericalPassword } else { New-DoubleRecoveryPassword }) }
}
VolumeMethod 'ProtectKeyWithTPM' -Changes -Takes 'FriendlyName', 'PlatformValidationProfile' {
    param($v, $state)
    Assert-DoubleStart $v $state
    if (@(Get-DoubleKeys $v | Where-Object { $_.KeyProtectorType -eq 'Tpm' })) { Stop-DoubleVolume '80310031' }
    if ((Get-DoublePolicy 'UseAdvancedStartup') -eq 1) {
        if ((Get-DoublePolicy 'UseTPMPIN') -eq 1) { Stop-DoubleVolume '80310061' }
        if ((Get-DoublePolicy 'UseTPM') -eq 0) { Stop-DoubleVolume '80310066' }
    }
    Add-DoubleKey $v 'Tpm'
}
VolumeMethod 'ProtectKeyWithTPMAndPIN' -Changes -Takes 'FriendlyName', 'PlatformValidationProfile', 'PIN' {
    param($v, $state, $given)
    Assert-DoubleStart $v $state
    if ((Get-DoublePolicy 'UseAdvancedStartup') -ne 1 -or (Get-DoublePolicy 'UseTPMPIN') -eq 0) { Stop-DoubleVolume '80310060' }
    $least = if (Get-DoublePolicy 'MinimumPIN') { Get-DoublePolicy 'MinimumPIN' } else { 6 }
    if ($given.PIN.Length -lt $least -or $given.PIN.Length -gt 20) { Stop-DoubleVolume '80310068' }
    if ($given.PIN -notmatch '^\d+$' -and (Get-DoublePolicy 'UseEnhancedPin') -ne 1) { Stop-DoubleVolume '8031009A' }
    # Enough to see that it arrived: the double keeps no PIN.
    Add-DoubleKey $v 'TpmPin' @{ PinLength = $given.PIN.Length }
}
VolumeMethod 'ProtectKeyWithExternalKey' -Changes -Takes 'FriendlyName', 'ExternalKey' { param($v) Assert-DoubleUnlocked $v; Add-DoubleKey $v 'ExternalKey' }
VolumeMethod 'EnableAutoUnlock' -Changes -Takes 'VolumeKeyProtectorID' {
    param($v, $state, $given)
    Assert-DoubleUnlocked $v
    $system = @(Get-DoubleNames $state.bitlocker | ForEach-Object { $state.bitlocker.$_ } | Where-Object { $_.VolumeType -eq 'OperatingSystem' })[0]
    if ($system.ProtectionStatus -ne 'On') { Stop-DoubleVolume '80310054' }
    Set-DoubleValue (Find-DoubleKey $v $given 'ExternalKey') 'AutoUnlock' $true
    Set-DoubleValue $v 'AutoUnlockEnabled' $true
    Set-DoubleValue $system 'AutoUnlockKeyStored' $true
    [ordered]@{}
}
VolumeMethod 'DeleteKeyProtector' -Changes -Takes 'VolumeKeyProtectorID' {
    param($v, $state, $given)
    $gone = Find-DoubleKey $v $given
    $rest = @(Get-DoubleKeys $v | Where-Object { $_.KeyProtectorId -ne $gone.KeyProtectorId })
    if ($rest.Count -eq 0 -and $v.ProtectionStatus -eq 'On') { Stop-DoubleVolume '8031001D' }
    $v.KeyProtector = $rest
    [ordered]@{}
}
VolumeMethod 'Encrypt' -Changes -Takes 'EncryptionMethod', 'EncryptionFlags' {
    param($v, $state, $given)
    Assert-DoubleUnlocked $v
    $names = @('None', 'Aes128Diffuser', 'Aes256Diffuser', 'Aes128', 'Aes256', 'Hardware', 'XtsAes128', 'XtsAes256')
    $method = if ([int]$given.EncryptionMethod) { $names[[int]$given.EncryptionMethod] } else { 'XtsAes128' }
    $policy = Get-DoublePolicy $(if ($v.VolumeType -eq 'OperatingSystem') { 'EncryptionMethodWithXtsOs' } else { 'EncryptionMethodWithXtsFdv' })
    if ($policy -and $names[[int]$policy] -ne $method) { Stop-DoubleVolume '80070057' }
    if ($state.computer.BootableMedium) { Stop-DoubleVolume '80310030' }
    if ($v.VolumeStatus -like 'FullyEncrypted*') { return [ordered]@{} }
    $v.EncryptionMethod = $method
    $v.MetadataVersion = 2
    Move-DoubleConversion $v $(if ($v.EncryptionStep) { [double]$v.EncryptionPercentage } else { 100 })
    [ordered]@{}
}
VolumeMethod 'EncryptAfterHardwareTest' -Changes -Takes 'EncryptionMethod', 'EncryptionFlags' {
    param($v, $state) Set-DoubleValue $v 'Test' 'pending'; $state.reboot_pending = $true; [ordered]@{}
}
VolumeMethod 'ResumeConversion' -Changes {
    param($v)
    Assert-DoubleUnlocked $v
    if ($v.VolumeStatus -eq 'EncryptionSuspended') { Move-DoubleConversion $v $(if ($v.EncryptionStep) { [double]$v.EncryptionPercentage } else { 100 }) }
    [ordered]@{}
}
VolumeMethod 'Decrypt' -Changes {
    param($v) Assert-DoubleUnlocked $v; $v.VolumeStatus = 'DecryptionInProgress'; Update-DoubleProtection $v; [ordered]@{}
}
VolumeMethod 'EnableKeyProtectors' -Changes {
    param($v)
    Assert-DoubleUnlocked $v
    if (-not @(Get-DoubleKeys $v)) { Stop-DoubleVolume '80310007' }
    Set-DoubleValue $v 'Suspended' $false
    Set-DoubleValue $v 'SuspendCount' 0
    Update-DoubleProtection $v
    [ordered]@{}
}
VolumeMethod 'DisableKeyProtectors' -Changes -Takes 'DisableCount' {
    param($v, $state, $given)
    Set-DoubleValue $v 'Suspended' $true
    Set-DoubleValue $v 'SuspendCount' $(if ($null -eq $given.DisableCount) { 1 } else { [int]$given.DisableCount })
    Update-DoubleProtection $v
    [ordered]@{}
}
VolumeMethod 'UnlockWithNumericalPassword' -Changes -Takes 'NumericalPassword' {
    param($v, $state, $given)
    if (-not @(Get-DoubleKeys $v | Where-Object { $_.RecoveryPassword -and $_.RecoveryPassword -eq $given.NumericalPassword })) { Stop-DoubleVolume '80310027' }
    $v.LockStatus = 'Unlocked'
    $v.VolumeStatus = 'FullyEncrypted'
    $v.EncryptionPercentage = 100
    Update-DoubleProtection $v
    [ordered]@{}
}
VolumeMethod 'BackupRecoveryInformationToCloudDomain' -Changes -Takes 'VolumeKeyProtectorID' {
    param($v, $state, $given)
    if (-not $state.computer.AzureAdJoined) { Stop-DoubleVolume '80004005' }
    Set-DoubleValue (Find-DoubleKey $v $given 'RecoveryPassword') 'Backups' @('entra')
    [ordered]@{}
}
VolumeMethod 'BackupRecoveryInformationToActiveDirectory' -Changes -Takes 'VolumeKeyProtectorID' {
    param($v, $state, $given)
    if (-not $state.computer.PartOfDomain) { Stop-DoubleVolume '00000001' }
    Set-DoubleValue (Find-DoubleKey $v $given 'RecoveryPassword') 'Backups' @('ad')
    [ordered]@{}
}
