# BitLocker's cmdlets: thin, as Microsoft's module is, over the methods of Win32_EncryptableVolume.
. $env:WINDOWS_DOUBLE_CODE/bodies/EncryptableVolume.ps1
enum Double_VolumeStatus {
    FullyDecrypted = 0
    FullyEncrypted = 1
    EncryptionInProgress = 2
    DecryptionInProgress = 3
    EncryptionSuspended = 4
    DecryptionSuspended = 5
    FullyEncryptedWipeInProgress = 6
    FullyEncryptedWipeSuspended = 7
}
enum Double_ProtectionStatus { Off = 0; On = 1; Unknown = 2 }
enum Double_LockStatus { Unlocked = 0; Locked = 1 }
enum Double_VolumeType { OperatingSystem = 0; Data = 1 }
enum Double_EncryptionMethod {
    None = 0
    Aes128Diffuser = 1
    Aes256Diffuser = 2
    Aes128 = 3
    Aes256 = 4
    Hardware = 5
    XtsAes128 = 6
    XtsAes256 = 7
}
enum Double_ProtectorType {
    Unknown = 0
    Tpm = 1
    ExternalKey = 2
    RecoveryPassword = 3
    TpmPin = 4
    TpmStartupKey = 5
    TpmPinStartupKey = 6
    PublicKey = 7
    Password = 8
    TpmNetworkKey = 9
    AdAccountOrGroup = 10
}

function New-DoubleVolume([string]$Mount, $Facts) {
    $protectors = @(Get-DoubleKeys $Facts | ForEach-Object {
        New-DoubleObject 'Microsoft.BitLocker.Structures.BitLockerVolumeKeyProtector' ([ordered]@{
            KeyProtectorId = $_.KeyProtectorId
            AutoUnlockProtector = $(if ($_.KeyProtectorType -eq 'ExternalKey') { [bool]$_.AutoUnlock })
            KeyProtectorType = [Double_ProtectorType]$_.KeyProtectorType
            KeyFileName = ''; RecoveryPassword = "$(if ($Facts.LockStatus -ne 'Locked') { $_.RecoveryPassword })"
            KeyCertificateType = $null; Thumbprint = '' }) })
    $seen = { param($value) if ($Facts.LockStatus -ne 'Locked') { $value } }
    New-DoubleObject 'Microsoft.BitLocker.Structures.BitLockerVolume' ([ordered]@{
        ComputerName = $env:COMPUTERNAME
        MountPoint = $Mount
        EncryptionMethod = [Double_EncryptionMethod]$Facts.EncryptionMethod
        AutoUnlockEnabled = $Facts.AutoUnlockEnabled
        AutoUnlockKeyStored = $Facts.AutoUnlockKeyStored
        MetadataVersion = $Facts.MetadataVersion
        VolumeStatus = & $seen ([Double_VolumeStatus]"$(if ($Facts.VolumeStatus) { $Facts.VolumeStatus } else { 'FullyDecrypted' })")
        ProtectionStatus = [Double_ProtectionStatus]$Facts.ProtectionStatus
        LockStatus = [Double_LockStatus]$Facts.LockStatus
        EncryptionPercentage = & $seen $Facts.EncryptionPercentage
        WipePercentage = & $seen $Facts.WipePercentage
        VolumeType = [Double_VolumeType]$Facts.VolumeType; CapacityGB = $Facts.CapacityGB; KeyProtector = $protectors })
}
function Assert-DoubleBitLocker($Cmdlet, [string]$Mount) {
    $state = Get-DoubleState
    if ($state.computer.EditionID -like 'Core*') {
        Stop-Double $Cmdlet 'DoubleNotImplemented' 'BitLocker is not managed on the Home edition.' NotImplemented $Mount
    }
    $known = @(Get-DoubleNames $state.bitlocker | Where-Object { $_.TrimEnd('\') -eq $Mount.TrimEnd('\') })
    if (-not $known) {
        $problem = "$Mount does not have an associated BitLocker volume."
        Stop-Double $Cmdlet 'System.Runtime.InteropServices.COMException' $problem NotSpecified $Mount
    }
    $known[0]
}
# A method's error as the cmdlets write it: not terminating, an exception that carries the HRESULT. Says whether all went well.
function Test-DoubleMethod($Cmdlet, [string]$Mount, [string]$Method, $Given = @{}) {
    $said = Invoke-DoubleVolume $Mount $Method $Given
    if ($said.ReturnValue -eq 0) { return $true }
    $code = '{0:X8}' -f $said.ReturnValue
    $problem = New-Object Runtime.InteropServices.COMException "Exception from HRESULT: 0x$code", ([Convert]::ToInt32($code, 16))
    $Cmdlet.WriteError((New-Object Management.Automation.ErrorRecord $problem, 'System.Runtime.InteropServices.COMException', 'NotSpecified', $null))
    $false
}
# For each volume that is meant: the work, which answers whether it went well, then the volume as it is now.
function Edit-DoubleVolume($Bound, $Cmdlet, [scriptblock]$VolumeWork) {
    foreach ($wanted in $Bound.MountPoint) {
        $mount = Assert-DoubleBitLocker $Cmdlet $wanted
        if (-not $Cmdlet.ShouldProcess($mount)) { continue }
        if (& $VolumeWork $mount) { New-DoubleVolume $mount (Get-DoubleState).bitlocker.$mount }
    }
}
function Read-DoubleSecret([securestring]$Secret) {
    $pointer = [Runtime.InteropServices.Marshal]::SecureStringToBSTR($Secret)
    [Runtime.InteropServices.Marshal]::PtrToStringBSTR($pointer)
}
# As the genuine cmdlets do, it prints the password.
function Show-DoubleRecovery($Cmdlet, [string]$Mount) {
    $password = @(Get-DoubleKeys (Get-DoubleState).bitlocker.$Mount | Where-Object { $_.RecoveryPassword })[-1].RecoveryPassword
    $Cmdlet.WriteWarning((@(
        'ACTIONS REQUIRED:'
        '1. Save this numerical recovery password in a secure location away from your computer:'
        $password
        'To prevent data loss, save this password immediately. ' +
            'This password helps ensure that you can unlock the encrypted volume.'
    ) -join "`r`n`r`n"))
}
function Add-DoubleProtector($Cmdlet, [string]$Mount, $Bound, [bool]$Quiet) {
    if ($Bound.TpmProtector) { return Test-DoubleMethod $Cmdlet $Mount 'ProtectKeyWithTPM' }
    if ($Bound.TpmAndPinProtector) {
        if (-not (Test-DoubleMethod $Cmdlet $Mount 'ProtectKeyWithTPMAndPIN' @{ PIN = Read-DoubleSecret $Bound.Pin })) { return $false }
        foreach ($id in (Invoke-DoubleVolume $Mount 'GetKeyProtectors' @{ KeyProtectorType = 1 }).VolumeKeyProtectorID) {
            if (-not (Test-DoubleMethod $Cmdlet $Mount 'DeleteKeyProtector' @{ VolumeKeyProtectorID = $id })) { return $false }
        }
        return $true
    }
    $given = if ($Bound.RecoveryPassword) { @{ NumericalPassword = $Bound.RecoveryPassword } } else { @{} }
    if (-not (Test-DoubleMethod $Cmdlet $Mount 'ProtectKeyWithNumericalPassword' $given)) { return $false }
    if (-not $Quiet) { Show-DoubleRecovery $Cmdlet $Mount }
    $true
}
Body 'Get-BitLockerVolume' {
    param($Bound, $Cmdlet)
    $state = Get-DoubleState
    $mounts = @(if ($Bound.MountPoint) {
        $Bound.MountPoint | ForEach-Object { Assert-DoubleBitLocker $Cmdlet $_ }
    } else { Get-DoubleNames $state.bitlocker })
    foreach ($mount in $mounts) { New-DoubleVolume $mount $state.bitlocker.$mount }
}
Body 'Add-BitLockerKeyProtector' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'MountPoint','RecoveryPasswordProtector','RecoveryPassword','TpmProtector','TpmAndPinProtector','Pin'
    Edit-DoubleVolume $Bound $Cmdlet { param($mount) Add-DoubleProtector $Cmdlet $mount $Bound $false }
}
Body 'Remove-BitLockerKeyProtector' {
    param($Bound, $Cmdlet)
    Edit-DoubleVolume $Bound $Cmdlet {
        param($mount) Test-DoubleMethod $Cmdlet $mount 'DeleteKeyProtector' @{ VolumeKeyProtectorID = $Bound.KeyProtectorId }
    }
}
Body 'Enable-BitLocker' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'MountPoint','EncryptionMethod','UsedSpaceOnly','TpmProtector',
        'RecoveryPasswordProtector','SkipHardwareTest'
    Edit-DoubleVolume $Bound $Cmdlet {
        param($mount)
        $volume = (Get-DoubleState).bitlocker.$mount
        $isSystem = $volume.VolumeType -eq 'OperatingSystem'
        $hasTpm = @(Get-DoubleKeys $volume | Where-Object { $_.KeyProtectorType -like 'Tpm*' }).Count
        if ($isSystem -and -not $hasTpm -and -not $Bound.TpmProtector -and -not (Test-DoubleMethod $Cmdlet $mount 'ProtectKeyWithTPM')) { return $false }
        if (-not (Add-DoubleProtector $Cmdlet $mount $Bound $true)) { return $false }
        $method = if ($Bound.EncryptionMethod) { [uint32][Double_EncryptionMethod]"$($Bound.EncryptionMethod)" } else { [uint32]0 }
        $start = if ($isSystem -and -not $Bound.SkipHardwareTest) { 'EncryptAfterHardwareTest' } else { 'Encrypt' }
        if (-not (Test-DoubleMethod $Cmdlet $mount $start @{ EncryptionMethod = $method; EncryptionFlags = [uint32][bool]$Bound.UsedSpaceOnly })) { return $false }
        if (@(Get-DoubleKeys (Get-DoubleState).bitlocker.$mount | Where-Object { $_.RecoveryPassword }).Count) { Show-DoubleRecovery $Cmdlet $mount }
        $true
    }
}
Body 'Disable-BitLocker' { param($Bound, $Cmdlet) Edit-DoubleVolume $Bound $Cmdlet { param($mount) Test-DoubleMethod $Cmdlet $mount 'Decrypt' } }
Body 'Suspend-BitLocker' {
    param($Bound, $Cmdlet)
    $given = if ($Bound.ContainsKey('RebootCount')) { @{ DisableCount = $Bound.RebootCount } } else { @{} }
    Edit-DoubleVolume $Bound $Cmdlet { param($mount) Test-DoubleMethod $Cmdlet $mount 'DisableKeyProtectors' $given }
}
Body 'Resume-BitLocker' {
    param($Bound, $Cmdlet) Edit-DoubleVolume $Bound $Cmdlet { param($mount) Test-DoubleMethod $Cmdlet $mount 'EnableKeyProtectors' }
}
Body 'Unlock-BitLocker' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'MountPoint','RecoveryPassword'
    Edit-DoubleVolume $Bound $Cmdlet {
        param($mount) Test-DoubleMethod $Cmdlet $mount 'UnlockWithNumericalPassword' @{ NumericalPassword = $Bound.RecoveryPassword }
    }
}
Body 'Enable-BitLockerAutoUnlock' {
    param($Bound, $Cmdlet)
    Edit-DoubleVolume $Bound $Cmdlet {
        param($mount)
        if ((Invoke-DoubleVolume $mount 'IsAutoUnlockEnabled' @{}).IsAutoUnlockEnabled) { return $true }
        $made = Invoke-DoubleVolume $mount 'ProtectKeyWithExternalKey' @{}
        if (Test-DoubleMethod $Cmdlet $mount 'EnableAutoUnlock' @{ VolumeKeyProtectorID = $made.VolumeKeyProtectorID }) { return $true }
        $null = Invoke-DoubleVolume $mount 'DeleteKeyProtector' @{ VolumeKeyProtectorID = $made.VolumeKeyProtectorID }
        $false
    }
}
