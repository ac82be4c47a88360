# One step of bringing volumes under BitLocker; $step says which. Each looks at what is there now: a run may have ended anywhere before.
#
# The methods under the cmdlets are called, not the cmdlets: Add-BitLockerKeyProtector and Enable-BitLocker return the recovery password, write it
# into a warning, and cannot be called twice. No recovery password is ever an argument of a cmdlet either: logging of modules writes those down.
function Find-Volume([string]$letter) {
    $found = Get-CimInstance -Namespace 'root/cimv2/Security/MicrosoftVolumeEncryption' -ClassName Win32_EncryptableVolume -Filter "DriveLetter='$letter'"
    if (-not $found) { throw 'STOP:absent' }
    $found
}
function Invoke-Volume($volume, [string]$method, [hashtable]$arguments) {
    if ($arguments) { $said = Invoke-CimMethod -InputObject $volume -MethodName $method -Arguments $arguments }
    else { $said = Invoke-CimMethod -InputObject $volume -MethodName $method }
    $code = '0x{0:X8}' -f [uint32]$said.ReturnValue
    # What is asked for may have come to be since it was looked for.
    if ($said.ReturnValue -ne 0 -and $already -notcontains $code) { throw "STOP:$code" }
    $said
}
# Ids of the protectors of a kind: 0 all, 1 TPM, 3 recovery password, 4 TPM and PIN, 5 and 6 TPM with a startup key.
function Get-Protector($volume, [int]$kind) {
    foreach ($id in (Invoke-Volume $volume 'GetKeyProtectors' @{ KeyProtectorType = [uint32]$kind }).VolumeKeyProtectorID) {
        if ($id) { [string]$id }
    }
}
function Assert-Unlocked($volume) {
    if ((Invoke-Volume $volume 'GetLockStatus').LockStatus -ne 0) { throw 'STOP:0x80310000' }
}
# Every recovery password that opens the volume is in escrow, as the controller has acknowledged; otherwise nothing is encrypted, resumed or removed.
function Assert-Escrow($volume) {
    $ids = @(Get-Protector $volume 3)
    if ($ids.Count -eq 0) { throw 'STOP:escrow' }
    foreach ($id in $ids) { if ($escrowed -notcontains $id) { throw 'STOP:escrow' } }
}
function Get-Progress($volume) {
    $now = Invoke-Volume $volume 'GetConversionStatus'
    $protection = (Invoke-Volume $volume 'GetProtectionStatus').ProtectionStatus
    [ordered]@{ status = [int]$now.ConversionStatus; percent = [int]$now.EncryptionPercentage; protection = [int]$protection }
}
# Answers each recovery password that is not in escrow, encrypted to the operator's public key. In clear it is in this process only.
function Export-Recovery($volume, [string]$letter, $public) {
    foreach ($id in @(Get-Protector $volume 3)) {
        if ($kept -contains $id) { continue }
        $password = (Invoke-Volume $volume 'GetKeyProtectorNumericalPassword' @{ VolumeKeyProtectorID = $id }).NumericalPassword
        $groups = $password.Split([char]'-')
        $wrong = $groups.Count -ne 8
        foreach ($group in $groups) {
            if ($group -notmatch '^[0-9]{6}$' -or [int]$group % 11 -ne 0 -or [int]$group -gt 720885) { $wrong = $true }
        }
        if ($wrong) { throw 'STOP:groups' }
        $text = [string]::Join("`n", [string[]]@($form, $pc, $letter, $id, $password))
        $sealed = $public.Encrypt([Text.Encoding]::UTF8.GetBytes($text), [Security.Cryptography.RSAEncryptionPadding]::OaepSHA256)
        [ordered]@{ volume = $letter; protector = $id; sealed = [Convert]::ToBase64String($sealed) }
    }
}
# A PIN is asked for only where policy allows it. It is demanded, as CIS wants it, unless policy says something else of the start already:
# what it says stays, and Windows refuses one that demands one way and allows another.
function Enable-Pin {
    $key = 'HKLM:\SOFTWARE\Policies\Microsoft\FVE'
    if (-not (Test-Path -LiteralPath $key)) { New-Item -Path $key -Force | Out-Null }
    $item, $others = (Get-Item -LiteralPath $key), $false
    $start = [ordered]@{ UseTPM = 0; UseTPMPIN = 1; UseTPMKey = 0; UseTPMKeyPIN = 0 }
    foreach ($name in $start.Keys) {
        $stands = $item.GetValue($name, $null)
        if ($null -ne $stands -and $stands -ne $start[$name]) { $others = $true }
    }
    $wanted = [ordered]@{ EnableBDEWithNoTPM = 0 }
    foreach ($name in $start.Keys) { $wanted[$name] = if ($others) { 2 } else { $start[$name] } }
    $wanted['UseAdvancedStartup'] = 1
    foreach ($name in $wanted.Keys) {
        if ($null -eq $item.GetValue($name, $null) -or $name -eq 'UseAdvancedStartup') {
            New-ItemProperty -LiteralPath $key -Name $name -Value $wanted[$name] -PropertyType DWord -Force | Out-Null
        }
    }
}
# The wanted way to start, and no other one by the TPM.
function Set-Start($volume) {
    if (-not (Get-Protector $volume $kind)) {
        if ($kind -eq 1) { $null = Invoke-Volume $volume 'ProtectKeyWithTPM' }
        else {
            Enable-Pin
            $clear = $global:CitadellePinKey.Decrypt([Convert]::FromBase64String($pin), [Security.Cryptography.RSAEncryptionPadding]::OaepSHA1)
            $global:CitadellePinKey = $null
            $null = Invoke-Volume $volume 'ProtectKeyWithTPMAndPIN' @{ PIN = [Text.Encoding]::UTF8.GetString($clear) }
        }
    }
    foreach ($other in 1, 4, 5, 6) {
        if ($other -eq $kind) { continue }
        foreach ($id in @(Get-Protector $volume $other)) { $null = Invoke-Volume $volume 'DeleteKeyProtector' @{ VolumeKeyProtectorID = $id } }
    }
}
function Start-Encryption($volume, [int]$status) {
    if ($status -eq 0) {
        $null = Invoke-Volume $volume 'Encrypt' @{ EncryptionMethod = [uint32]7; EncryptionFlags = [uint32]$flags }
    }
    if ($status -eq 4) { $null = Invoke-Volume $volume 'ResumeConversion' }
    # Also what was suspended, and what lay there with a clear key.
    $null = Invoke-Volume $volume 'EnableKeyProtectors'
}
function Assert-Ready($volume, [int]$status) {
    if ($status -eq 3 -or $status -eq 5) { throw 'STOP:decrypting' }
    if ($kind -eq 0) {
        if ((Invoke-Volume (Find-Volume $env:SystemDrive) 'GetProtectionStatus').ProtectionStatus -ne 1) { throw 'STOP:waits' }
        return
    }
    if ($status -eq 0 -and (Invoke-Volume $volume 'GetHardwareTestStatus').TestStatus -eq 2) { throw 'STOP:test' }
    # Whoever suspended it for a number of restarts is in the middle of something, such as new firmware.
    if ($status -eq 1 -and @(Get-Protector $volume 0).Count -and (Invoke-Volume $volume 'GetProtectionStatus').ProtectionStatus -eq 0 -and
        (Invoke-Volume $volume 'GetSuspendCount').SuspendCount -gt 0) { throw 'STOP:counted' }
}

switch ($step) {
    'seal' {
        # .NET Framework gives an RSACng here; RSA.Create() would give a provider without OAEP by SHA-256.
        $file = New-Object Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList (, [Convert]::FromBase64String($certificate))
        $public = [Security.Cryptography.X509Certificates.RSACertificateExtensions]::GetRSAPublicKey($file)
        for ($at = 0; $at -lt $letters.Count; $at++) {
            $volume = Find-Volume $letters[$at]
            Assert-Unlocked $volume
            $fresh = @(Get-Protector $volume 3 | Where-Object { $old -notcontains $_ })
            if ($adds[$at] -and $fresh.Count -eq 0) { $null = Invoke-Volume $volume 'ProtectKeyWithNumericalPassword' }
            Export-Recovery $volume $letters[$at] $public
        }
    }
    'pin' {
        # The PIN comes encrypted to a key that this process alone has: neither a script, nor its log, nor the disk holds it.
        $global:CitadellePinKey = [Security.Cryptography.RSA]::Create(2048)
        $public = $global:CitadellePinKey.ExportParameters($false)
        [ordered]@{ modulus = [Convert]::ToBase64String($public.Modulus); exponent = [Convert]::ToBase64String($public.Exponent) }
    }
    'protect' {
        $volume = Find-Volume $letter
        Assert-Unlocked $volume
        Assert-Escrow $volume
        $status = [int](Invoke-Volume $volume 'GetConversionStatus').ConversionStatus
        Assert-Ready $volume $status
        if ($kind) { Set-Start $volume }
        Start-Encryption $volume $status
        if (-not $kind) { $null = Enable-BitLockerAutoUnlock -MountPoint $letter -ErrorAction Stop }
        Get-Progress $volume
    }
    'progress' { Get-Progress (Find-Volume $letter) }
    'backup' {
        $methods = @{ entra = 'BackupRecoveryInformationToCloudDomain'; ad = 'BackupRecoveryInformationToActiveDirectory' }
        $null = Invoke-Volume (Find-Volume $letter) $methods[$place] @{ VolumeKeyProtectorID = $protector }
    }
    'retire' {
        $volume = Find-Volume $letter
        Assert-Escrow $volume
        if (-not @(Get-Protector $volume 3 | Where-Object { $old -notcontains $_ })) { throw 'STOP:escrow' }
        foreach ($id in @(Get-Protector $volume 3)) {
            if ($old -contains $id) { $null = Invoke-Volume $volume 'DeleteKeyProtector' @{ VolumeKeyProtectorID = $id } }
        }
    }
}
